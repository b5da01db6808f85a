# Montgomery reduction in 4 lanes, all N digits of the quotient at once.
#
# In:   D (scratch): a product T of 2 N reduced digits; rbx n, rbp n_inv = -1/n mod R, R = 2^(K N).
# Out:  acc (r12) = (T + m n) / R  with  m = T n_inv mod R,  -R/2 <= m <= R/2 about, N reduced digits.
#       |acc| <= |T| / R + n/2 (1 + 2^-40).
#
# The lower half of T + m n is known to be a multiple of R, so only its carry into the upper half is computed: the
# guard column N-1, with what column N-2 carries into it, is within 2^(K-1) of a multiple of 2^K, and rounding
# finds it exactly.
#
# Registers as in avx2fma_columns.S.
.p2align 6
rustls_multibuffer_mbf_reduce:
    # m = T n_inv mod R: the lower half of a product; what it carries out of column N-1 is dropped.
    MBF_CLEAR_CARRIES
    lea rdi, [r10 + 2*r14 + MBF_D]
    vmovapd [rdi], ymm0
    add rdi, 32
    xor r15d, r15d
    mov r9, rbp
31:
    lea rsi, [r10 + MBF_D]
    mov rdx, r9
    mov r8d, r15d
    call rustls_multibuffer_mbf_low_group
    add rdi, 224
    add r9, 224
    inc r15d
    lea rax, [rbp + r14]
    cmp r9, rax
    jne 31b

    # The guard column, 7 products a turn: ymm0 H and ymm7 L of column N-1, ymm1 H of column N-2, whose low parts
    # cannot matter; ymm2 and ymm3 collect the H. n[j] meets m[N-1-j] and m[N-2-j]; the zero before M meets n[N-1].
    vmovapd ymm13, [r11 + MBF_CHI]
    vxorps xmm2, xmm2, xmm2
    vxorps xmm3, xmm3, xmm3
    vxorps xmm7, xmm7, xmm7
    mov rsi, rbx
    lea rdx, [rdi - 32]
    lea rcx, [rbx + r14]
2:
    vmovapd ymm0, ymm13
    vmovapd ymm1, ymm13
    .irp t, 0,1,2,3,4,5,6
    vmovapd ymm15, [rsi + 32*\t]
    MBF_STEP 0, 7, [rdx-32*\t]
    vfmadd231pd ymm1, ymm15, [rdx - 32*\t - 32]
    .endr
    vsubpd ymm0, ymm0, ymm13
    vsubpd ymm1, ymm1, ymm13
    vaddpd ymm2, ymm2, ymm0
    vaddpd ymm3, ymm3, ymm1
    add rsi, 224
    sub rdx, 224
    cmp rsi, rcx
    jne 2b
    vaddpd ymm7, ymm7, [r10 + r14 + MBF_D - 32]
    vfmadd231pd ymm7, ymm3, [r11 + MBF_INV]
    vaddpd ymm7, ymm7, ymm13
    vsubpd ymm7, ymm7, ymm13
    vmovapd [r10 + MBF_PH], ymm2
    vmovapd [r10 + MBF_PC], ymm7

    # acc = the upper half of T, plus the upper half of m n.
    lea r9, [r10 + r14 + MBF_D]
    mov rdi, r12
    lea rbp, [r10 + 2*r14 + MBF_D + 32]
33:
    dec r15d
    mov rsi, rbp
    lea rdx, [rbx + r14]
    mov r8d, r15d
    call rustls_multibuffer_mbf_high_group_acc
    add rbp, 224
    add r9, 224
    add rdi, 224
    test r15d, r15d
    jnz 33b
    ret
