# out = a^2 mod 2^255 - 19 in 4 lanes. Arguments, precondition and result as in avx2fma_field25519_mul.S with
# b = a; rdx is not read.
#
# A product of two different digits occurs twice: once with the doubled row digit.
.p2align 6
FUNCTION avx2fma_field25519_sqr
    vmovapd ymm15, [rcx + F25_CHI]
    vmovapd ymm14, [rcx + F25_WRAP]
    F25_TIMES_152 rsi, 5
    F25_TIMES_152 rsi, 4
    F25_TIMES_152 rsi, 3
    # Row i: the square of digit i, then its double times the digits after it.
    vmovapd ymm13, [rsi]
    F25_FIRST 0, 6, 13, ymm13
    vaddpd ymm14, ymm13, ymm13
    F25_FIRST 1, 7, 14, [rsi + 32]
    F25_FIRST 2, 8, 14, [rsi + 64]
    F25_FIRST 3, 9, 14, [rsi + 96]
    F25_FIRST 4, 10, 14, [rsi + 128]
    F25_FIRST 5, 11, 14, [rsi + 160]
    vmovapd ymm13, [rsi + 32]
    F25_STEP 2, 8, ymm13
    vaddpd ymm14, ymm13, ymm13
    F25_STEP_TWICE 3, 9, [rsi + 64]
    F25_STEP_TWICE 4, 10, [rsi + 96]
    F25_STEP_TWICE 5, 11, [rsi + 128]
    F25_STEP_TWICE 0, 6, [rdi + 160]
    vmovapd ymm13, [rsi + 64]
    F25_STEP 4, 10, ymm13
    vaddpd ymm14, ymm13, ymm13
    F25_STEP_TWICE 5, 11, [rsi + 96]
    F25_STEP_TWICE 0, 6, [rdi + 128]
    F25_STEP_TWICE 1, 7, [rdi + 160]
    vmovapd ymm13, [rsi + 96]
    F25_STEP 0, 6, [rdi + 96]
    vaddpd ymm14, ymm13, ymm13
    F25_STEP_TWICE 1, 7, [rdi + 128]
    F25_STEP_TWICE 2, 8, [rdi + 160]
    vmovapd ymm13, [rsi + 128]
    F25_STEP 2, 8, [rdi + 128]
    vaddpd ymm14, ymm13, ymm13
    F25_STEP_TWICE 3, 9, [rdi + 160]
    vmovapd ymm13, [rsi + 160]
    F25_STEP 4, 10, [rdi + 160]
    F25_FINISH
END avx2fma_field25519_sqr
