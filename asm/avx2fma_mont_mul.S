# acc = acc b / R mod n in 4 lanes: R = 2^(K N), N digits of K bits, numbers as in avx2fma_columns.S.
# In:   rdi acc, N vectors   rsi b, N vectors   rdx n   rcx n_inv = -1/n mod R   r8 scratch (see MBF_D)
#       r9 constants of the shape   [rsp+8] N
# Precondition: digits reduced (|d| <= 2^(K-1) + 128), |acc b| <= R n / 4; b does not overlap acc.
# Out:  |acc| <= |acc b| / R + n/2 (1 + 2^-30), digits reduced.
.p2align 6
FUNCTION avx2fma_mont_mul
    MBF_PROLOGUE
    # The lower half of T = acc b.
    lea r9, [r11 + MBF_SCHEDULE]
31:
    mov rsi, r12
    mov rdx, r13
    CALL mbf_lower_group
    add r9, MBF_ENTRY
    dec r15d
    jnz 31b
    CALL mbf_upper_half
    MBF_EPILOGUE
END avx2fma_mont_mul
