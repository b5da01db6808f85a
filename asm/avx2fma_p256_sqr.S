# out = a^2 / R mod p in every lane, numbers as in avx2fma_p256.S.
#
# In:   rdi out, 6 vectors   rsi unused   rdx a, 6 vectors   rcx constants
# Precondition: digits are sums of two reduced ones; out does not overlap a.
# Out:  reduced digits. out is scratch until then.
#
# Row i is the square of digit i, in column 2 i, then its double times the digits after it: a product of two
# different digits occurs twice. Each row completes two columns.
FUNCTION avx2fma_p256_sqr
    P256_BEGIN
    vmovapd ymm13, [rdx]
    PRIME_FIRST_SQUARE 0, 6
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 1, 7, 1
    PRIME_FIRST 2, 8, 2
    PRIME_FIRST 3, 9, 3
    PRIME_FIRST 4, 10, 4
    PRIME_FIRST 5, 11, 5
    vmovapd ymm13, [rdx + 32]
    PRIME_HAND_ON 0, 7
    P256_QUOTIENT 0, 6, 8, 10
    PRIME_SQUARE 2, 8
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 3, 9, 2
    P256_QUOTIENT 1, 7, 9, 11
    P256_SHIFT_FIRST 4, 10, 6
    PRIME_STEP 4, 10, 3
    PRIME_STEP 5, 11, 4
    PRIME_FIRST 0, 6, 5
    PRIME_HAND_ON 1, 8
    P256_SHIFT 5, 11, 7, 0
    vmovapd ymm13, [rdx + 64]
    P256_QUOTIENT 2, 8, 10, 6
    PRIME_HAND_ON 2, 9
    PRIME_SQUARE 4, 10
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 5, 11, 3
    P256_SHIFT 0, 6, 8, 1
    PRIME_STEP 0, 6, 4
    PRIME_FIRST 1, 7, 5
    P256_QUOTIENT 3, 9, 11, 7
    PRIME_HAND_ON 3, 10
    vmovapd ymm13, [rdx + 96]
    P256_SHIFT 1, 7, 9, 2
    PRIME_SQUARE 0, 6
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 1, 7, 4
    PRIME_FIRST 2, 8, 5
    P256_QUOTIENT 4, 10, 6, 8
    PRIME_HAND_ON 4, 11
    vmovapd ymm13, [rdx + 128]
    P256_SHIFT 2, 8, 10, 3
    PRIME_SQUARE 2, 8
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 3, 9, 5
    vmovapd ymm13, [rdx + 160]
    P256_QUOTIENT 5, 11, 7, 9
    PRIME_HAND_ON 5, 6
    PRIME_FIRST_SQUARE 4, 10
    P256_SHIFT 3, 9, 11, 4
    P256_SHIFT_LAST 4, 10, 11
    P256_FINISH
END avx2fma_p256_sqr
