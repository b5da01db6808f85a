# void rustls_multibuffer_avx2fma_mont_sqr(acc, unused, n, n_inv, scratch, constants, blocks)
#
# acc = acc^2 / R mod n in 4 lanes. Arguments, precondition and result as in avx2fma_mont_mul.S with b = acc.
#
# A product of two different digits occurs twice, so one factor is taken from A2 = 2 acc and each pair once. A pass
# over doubled rows weighs twice as much in the budget of H. On the diagonal, row block r meets itself:
#   even groups (g = 2r):    pairs i <= j within block r, i + j <= 6
#   odd groups (g = 2r+1):   i within block r, j <= 13, 7 <= i + j <= 13; the last group has only j <= 6
# There rsi is acc + block r, rdx is A2 + block r.

# Pairs i < j of one row i whose column i + j - base is within 0..6, and the square of i if it is.
.macro MBF_PAIR base, i, j, top
    .if ((\i + \j) >= \base) && ((\i + \j) <= (\base + 6)) && (\j <= \top)
    .if (\i + \j - \base) == 0
    MBF_STEP 0, 7, [rsi+32*\j]
    .elseif (\i + \j - \base) == 1
    MBF_STEP 1, 8, [rsi+32*\j]
    .elseif (\i + \j - \base) == 2
    MBF_STEP 2, 9, [rsi+32*\j]
    .elseif (\i + \j - \base) == 3
    MBF_STEP 3, 10, [rsi+32*\j]
    .elseif (\i + \j - \base) == 4
    MBF_STEP 4, 11, [rsi+32*\j]
    .elseif (\i + \j - \base) == 5
    MBF_STEP 5, 12, [rsi+32*\j]
    .else
    MBF_STEP 6, 13, [rsi+32*\j]
    .endif
    .endif
.endm
.macro MBF_PAIRS base, i, top
    vmovapd ymm15, [rdx + 32*\i]
    .irp j, 1,2,3,4,5,6,7,8,9,10,11,12,13
    .if \j > \i
    MBF_PAIR \base, \i, \j, \top
    .endif
    .endr
    .if (2*\i >= \base) && (2*\i <= (\base + 6))
    vmovapd ymm15, [rsi + 32*\i]
    .if (2*\i - \base) == 0
    MBF_STEP 0, 7, ymm15
    .elseif (2*\i - \base) == 1
    MBF_STEP 1, 8, ymm15
    .elseif (2*\i - \base) == 2
    MBF_STEP 2, 9, ymm15
    .elseif (2*\i - \base) == 3
    MBF_STEP 3, 10, ymm15
    .elseif (2*\i - \base) == 4
    MBF_STEP 4, 11, ymm15
    .elseif (2*\i - \base) == 5
    MBF_STEP 5, 12, ymm15
    .else
    MBF_STEP 6, 13, ymm15
    .endif
    .endif
.endm

.p2align 6
rustls_multibuffer_mbf_diagonal_even:
    .irp i, 0,1,2,3
    MBF_PAIRS 0, \i, 6
    .endr
    ret
.p2align 6
rustls_multibuffer_mbf_diagonal_odd:
    .irp i, 0,1,2,3,4,5,6
    MBF_PAIRS 7, \i, 13
    .endr
    ret
.p2align 6
rustls_multibuffer_mbf_diagonal_last:
    .irp i, 1,2,3,4,5,6
    MBF_PAIRS 7, \i, 6
    .endr
    ret

.p2align 6
.globl rustls_multibuffer_avx2fma_mont_sqr
.globl _rustls_multibuffer_avx2fma_mont_sqr
rustls_multibuffer_avx2fma_mont_sqr:
_rustls_multibuffer_avx2fma_mont_sqr:
    MBF_PROLOGUE
    # A2 = 2 acc, after M. From here on r13 points to it.
    lea rdi, [r14 + 2*r14]
    lea rdi, [r10 + rdi + MBF_D + 32]
    mov r13, rdi
    mov rsi, r12
    lea rcx, [r12 + r14]
31:
    .irp t, 0,1,2,3,4,5,6
    vmovapd ymm\t, [rsi + 32*\t]
    vaddpd ymm\t, ymm\t, ymm\t
    vmovapd [rdi + 32*\t], ymm\t
    .endr
    add rsi, 224
    add rdi, 224
    cmp rsi, rcx
    jne 31b

    # T = acc^2. Group r15 takes the row blocks r from max(0, r15 - G) up to r15 / 2, the last on the diagonal. r9
    # holds 224 r while rows run.
    lea rdi, [r10 + MBF_D]
    xor r15d, r15d
2:
    call rustls_multibuffer_mbf_init
    imul r8, r15, 224
    mov r9, r8
    sub r9, r14
    jc 3f
    # The first row block of the upper half meets the end of acc: upper triangle, unless it is the diagonal.
    mov rdx, r15
    shr rdx, 1
    imul rdx, rdx, 224
    cmp r9, rdx
    jae 5f
    lea rsi, [r13 + r9]
    lea rdx, [r12 + r14]
    sub ecx, 2
    call rustls_multibuffer_mbf_upper
    add r9, 224
    jmp 4f
3:
    xor r9d, r9d
4:
    # Full passes for the row blocks before the diagonal.
    mov rsi, r15
    shr rsi, 1
    imul rsi, rsi, 224
    cmp r9, rsi
    jae 5f
    lea rdx, [r12 + r8]
    sub rdx, r9
    lea rsi, [r13 + r9]
    MBF_SPEND 2
    call rustls_multibuffer_mbf_full
    add r9, 224
    jmp 4b
5:
    # The diagonal.
    mov rsi, r15
    shr rsi, 1
    imul rsi, rsi, 224
    lea rdx, [r13 + rsi]
    test r15d, 1
    jnz 7f
    add rsi, r12
    MBF_SPEND 1
    call rustls_multibuffer_mbf_diagonal_even
    jmp 9f
7:
    add rsi, 224
    cmp rsi, r14
    lea rsi, [r12 + rsi - 224]
    je 8f
    MBF_SPEND 2
    call rustls_multibuffer_mbf_diagonal_odd
    jmp 9f
8:
    MBF_SPEND 1
    call rustls_multibuffer_mbf_diagonal_last
9:
    call rustls_multibuffer_mbf_finish
    add rdi, 224
    inc r15d
    imul r8, r15, 112
    cmp r8, r14
    jne 2b
    call rustls_multibuffer_mbf_reduce
    MBF_EPILOGUE
