# void rustls_multibuffer_avx2fma_mont_mul(acc, b, n, n_inv, scratch, constants, blocks)
#
# acc = acc b / R mod n in 4 lanes: R = 2^(K N), N = 7 blocks digits of K bits, numbers as in avx2fma_columns.S.
# In:   rdi acc, N vectors   rsi b, N vectors   rdx n   rcx n_inv = -1/n mod R   r8 scratch (see MBF_D)
#       r9 constants of the shape   [rsp+8] blocks G
# PRECONDITION: digits reduced (|d| <= 2^(K-1) + 128), |acc b| <= R n / 4; b does not overlap acc.
# Out:  |acc| <= |acc b| / R + n/2 (1 + 2^-40), digits reduced.
.p2align 6
.globl rustls_multibuffer_avx2fma_mont_mul
.globl _rustls_multibuffer_avx2fma_mont_mul
rustls_multibuffer_avx2fma_mont_mul:
_rustls_multibuffer_avx2fma_mont_mul:
    MBF_PROLOGUE
    # T = acc b. Group g of the lower half takes rows of blocks 0..g.
    lea rdi, [r10 + MBF_D]
    mov r9, r13
    xor r15d, r15d
31:
    mov rsi, r12
    mov rdx, r9
    mov r8d, r15d
    call rustls_multibuffer_mbf_low_group
    add rdi, 224
    add r9, 224
    inc r15d
    lea rax, [r13 + r14]
    cmp r9, rax
    jne 31b
    # Group G+h of the upper half takes rows of blocks h..G-1.
    mov r9, r12
2:
    dec r15d
    mov rsi, r9
    lea rdx, [r13 + r14]
    mov r8d, r15d
    call rustls_multibuffer_mbf_high_group
    add rdi, 224
    add r9, 224
    test r15d, r15d
    jnz 2b
    call rustls_multibuffer_mbf_reduce
    MBF_EPILOGUE
