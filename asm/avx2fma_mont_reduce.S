# From the lower half of T on, multiplication and squaring are the same: the upper half of T, and Montgomery
# reduction in 4 lanes, all N digits of the quotient at once.
#
# In:   D (scratch): the lower N digits of T = x y, with x and y in r12 and r13;
#       r9 the schedule of T's upper half;
#       rbx n, rbp n_inv = -1/n mod R, R = 2^(K N).
# Out:  [MBF_ACC] = (T + m n) / R  with  m = T n_inv mod R,  -R/2 <= m <= R/2 about, N reduced digits.
#       |acc| <= |T| / R + n/2 (1 + 2^-30).
#
# The lower half of T + m n is known to be a multiple of R, so only its carry into the upper half is computed:
# the guard column N-1, with what column N-2 carries into it, is within 2^(K-1) of a multiple of 2^K, and
# rounding finds it exactly.
#
# Where the radix leaves room, the upper halves of T and of m n share their accumulators ("merged").
#
# Registers as in avx2fma_columns.S.
.p2align 6
ROUTINE mbf_upper_half
    mov [r10 + MBF_UPPER], r9
    vmovapd ymm0, [r10 + MBF_PH]
    vmovapd ymm1, [r10 + MBF_PC]
    cmp dword ptr [r11 + MBF_MERGED], 0
    jne 32f
    # The upper half of T goes to D, and its carries with it.
    mov r15d, [r11 + MBF_GROUPS]
31:
    CALL mbf_init
    mov rsi, r12
    mov rdx, r13
    CALL mbf_group
    CALL mbf_finish
    add r9, MBF_ENTRY
    dec r15d
    jnz 31b
    vxorps xmm0, xmm0, xmm0
    vxorps xmm1, xmm1, xmm1
32:
    vmovapd [r10 + MBF_PH2], ymm0
    vmovapd [r10 + MBF_PC2], ymm1

    # m = T n_inv mod R: the lower half of a product; what it carries out of column N-1 is dropped.
    MBF_CLEAR_CARRIES
    lea rdi, [r10 + 2*r14 + MBF_D]
    vmovapd [rdi], ymm0
    add rdi, 32
    lea r9, [r11 + MBF_SCHEDULE]
    mov r15d, [r11 + MBF_GROUPS]
33:
    lea rsi, [r10 + MBF_D]
    mov rdx, rbp
    CALL mbf_lower_group
    add r9, MBF_ENTRY
    dec r15d
    jnz 33b

    # The guard column, 7 products a turn: ymm0 H and ymm7, ymm8 L of column N-1, ymm1 H of column N-2, whose
    # low parts cannot matter; ymm2 and ymm3 collect the H. n[N-1-i] meets m[i] and m[i-1]; the zero before M
    # stands for m[-1].
    vmovapd ymm13, [r11 + MBF_CHI]
    vxorps xmm2, xmm2, xmm2
    vxorps xmm3, xmm3, xmm3
    vxorps xmm7, xmm7, xmm7
    vxorps xmm8, xmm8, xmm8
    lea rsi, [rbx + r14 - 32]
    lea rdx, [r10 + 2*r14 + MBF_D + 32]
    mov ecx, [r11 + MBF_TURNS]
.macro MBF_GUARD t, l
    vmovapd ymm15, [rsi - 32*\t]
    MBF_STEP 0, \l, [rdx+32*\t]
    vfmadd231pd ymm1, ymm15, [rdx + 32*\t - 32]
.endm
.macro MBF_GUARD_COLLECT
    vsubpd ymm0, ymm0, ymm13
    vsubpd ymm1, ymm1, ymm13
    vaddpd ymm2, ymm2, ymm0
    vaddpd ymm3, ymm3, ymm1
.endm
34:
    vmovapd ymm0, ymm13
    vmovapd ymm1, ymm13
    MBF_GUARD 0, 7
    MBF_GUARD 1, 8
    MBF_GUARD 2, 7
    MBF_GUARD 3, 8
    MBF_GUARD 4, 7
    MBF_GUARD 5, 8
    MBF_GUARD 6, 7
    MBF_GUARD_COLLECT
    sub rsi, 224
    add rdx, 224
    dec ecx
    jnz 34b
    cmp rsi, rbx
    jb 35f
    vmovapd ymm0, ymm13
    vmovapd ymm1, ymm13
    MBF_GUARD 0, 7
    MBF_GUARD 1, 8
    MBF_GUARD 2, 7
    MBF_GUARD 3, 8
    MBF_GUARD 4, 7
    MBF_GUARD_COLLECT
35:
    vaddpd ymm7, ymm7, ymm8
    vaddpd ymm7, ymm7, [r10 + r14 + MBF_D - 32]
    vfmadd231pd ymm7, ymm3, [r11 + MBF_INV]
    vaddpd ymm7, ymm7, ymm13
    vsubpd ymm7, ymm7, ymm13
    vaddpd ymm2, ymm2, [r10 + MBF_PH2]
    vaddpd ymm7, ymm7, [r10 + MBF_PC2]
    vmovapd [r10 + MBF_PH], ymm2
    vmovapd [r10 + MBF_PC], ymm7

    # acc = the upper half of T, plus the upper half of m n.
    mov rdi, [r10 + MBF_ACC]
    mov eax, [r11 + MBF_GROUPS]
    shl eax, 4
    lea r9, [r11 + rax + MBF_SCHEDULE]
    add rax, r9
    SAVE rax
    lea r15, [r10 + r14 + MBF_D]
36:
    cmp dword ptr [r11 + MBF_MERGED], 0
    jne 37f
    CALL mbf_init_acc
    add r15, 224
    jmp 38f
37:
    CALL mbf_init
    SAVE r9
    mov r9, [r10 + MBF_UPPER]
    mov rsi, r12
    mov rdx, r13
    CALL mbf_group
    add r9, MBF_ENTRY
    mov [r10 + MBF_UPPER], r9
    RESTORE r9
38:
    lea rsi, [r10 + 2*r14 + MBF_D + 32]
    mov rdx, rbx
    CALL mbf_group
    CALL mbf_finish
    add r9, MBF_ENTRY
    cmp r9, [rsp]
    jne 36b
    RESTORE rax
    ret
END mbf_upper_half
