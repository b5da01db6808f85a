# out = a b / R mod p in every lane, numbers as in avx2fma_p256.S.
#
# In:   rdi out, 6 vectors   rsi a, 6 vectors   rdx b, 6 vectors   rcx constants
# Precondition: digits are sums of two reduced ones; out overlaps neither a nor b.
# Out:  reduced digits. out is scratch until then.
#
# Row i is digit i of a, times all of b: columns i to i + 5, of which column i then is complete. What m[i]
# does to other columns is done between the products of the next row, whose last product needs the registers.
FUNCTION avx2fma_p256_mul
    P256_BEGIN
    vmovapd ymm13, [rsi]
    PRIME_FIRST 0, 6, 0
    PRIME_FIRST 1, 7, 1
    PRIME_FIRST 2, 8, 2
    PRIME_FIRST 3, 9, 3
    PRIME_FIRST 4, 10, 4
    PRIME_FIRST 5, 11, 5
    vmovapd ymm13, [rsi + 32]
    PRIME_HAND_ON 0, 7
    PRIME_STEP 1, 7, 0
    P256_QUOTIENT 0, 6, 8, 10
    PRIME_STEP 2, 8, 1
    PRIME_STEP 3, 9, 2
    PRIME_STEP 4, 10, 3
    PRIME_STEP 5, 11, 4
    P256_SHIFT_FIRST 4, 10, 6
    PRIME_FIRST 0, 6, 5
    vmovapd ymm13, [rsi + 64]
    PRIME_HAND_ON 1, 8
    PRIME_STEP 2, 8, 0
    P256_QUOTIENT 1, 7, 9, 11
    PRIME_STEP 3, 9, 1
    PRIME_STEP 4, 10, 2
    PRIME_STEP 5, 11, 3
    PRIME_STEP 0, 6, 4
    P256_SHIFT 5, 11, 7, 0
    PRIME_FIRST 1, 7, 5
    vmovapd ymm13, [rsi + 96]
    PRIME_HAND_ON 2, 9
    PRIME_STEP 3, 9, 0
    P256_QUOTIENT 2, 8, 10, 6
    PRIME_STEP 4, 10, 1
    PRIME_STEP 5, 11, 2
    PRIME_STEP 0, 6, 3
    PRIME_STEP 1, 7, 4
    P256_SHIFT 0, 6, 8, 1
    PRIME_FIRST 2, 8, 5
    vmovapd ymm13, [rsi + 128]
    PRIME_HAND_ON 3, 10
    PRIME_STEP 4, 10, 0
    P256_QUOTIENT 3, 9, 11, 7
    PRIME_STEP 5, 11, 1
    PRIME_STEP 0, 6, 2
    PRIME_STEP 1, 7, 3
    PRIME_STEP 2, 8, 4
    P256_SHIFT 1, 7, 9, 2
    PRIME_FIRST 3, 9, 5
    vmovapd ymm13, [rsi + 160]
    PRIME_HAND_ON 4, 11
    PRIME_STEP 5, 11, 0
    P256_QUOTIENT 4, 10, 6, 8
    PRIME_STEP 0, 6, 1
    PRIME_STEP 1, 7, 2
    PRIME_STEP 2, 8, 3
    PRIME_STEP 3, 9, 4
    P256_SHIFT 2, 8, 10, 3
    PRIME_FIRST 4, 10, 5
    PRIME_HAND_ON 5, 6
    P256_QUOTIENT 5, 11, 7, 9
    P256_SHIFT 3, 9, 11, 4
    P256_SHIFT_LAST 4, 10, 11
    P256_FINISH
END avx2fma_p256_mul
