# out = a b / R mod p in every lane, numbers as in avx2fma_p384.S.
#
# In:   rdi out, 8 vectors   rsi a, 8 vectors   rdx b, 8 vectors   rcx constants
# Precondition: digits are those of sums of two reduced elements; out overlaps neither a nor b.
# Out:  reduced digits. out is scratch until then.
#
# Row i of a group of columns is digit i of a, times those of b that belong there.
FUNCTION avx2fma_p384_mul
    P384_BEGIN
    # Columns 0 to 3.
    vmovapd ymm13, [rsi]
    PRIME_FIRST 0, 4, 0
    PRIME_FIRST 1, 5, 1
    PRIME_FIRST 2, 6, 2
    PRIME_FIRST 3, 7, 3
    vmovapd ymm13, [rsi + 32]
    PRIME_STEP 1, 5, 0
    PRIME_STEP 2, 6, 1
    PRIME_STEP 3, 7, 2
    vmovapd ymm13, [rsi + 64]
    PRIME_STEP 2, 6, 0
    PRIME_STEP 3, 7, 1
    vmovapd ymm13, [rsi + 96]
    PRIME_STEP 3, 7, 0
    PRIME_HAND_ON 0, 5
    PRIME_HAND_ON 1, 6
    PRIME_HAND_ON 2, 7
    # Columns 4 to 7, and quotient digits 0 to 3.
    vmovapd ymm13, [rsi]
    PRIME_FIRST 0, 8, 4
    PRIME_HAND_ON 3, 8
    PRIME_FIRST 1, 9, 5
    PRIME_FIRST 2, 10, 6
    PRIME_FIRST 3, 11, 7
    P384_QUOTIENT 4, 5, 6, 7, 8
    P384_KEEP 0, 4
    vmovapd ymm13, [rsi + 32]
    PRIME_STEP 0, 8, 3
    PRIME_STEP 1, 9, 4
    PRIME_STEP 2, 10, 5
    PRIME_STEP 3, 11, 6
    P384_QUOTIENT 5, 6, 7, 8, 9
    P384_KEEP 1, 5
    vmovapd ymm13, [rsi + 64]
    PRIME_STEP 0, 8, 2
    PRIME_STEP 1, 9, 3
    PRIME_STEP 2, 10, 4
    PRIME_STEP 3, 11, 5
    P384_QUOTIENT 6, 7, 8, 9, 10
    P384_KEEP 2, 6
    vmovapd ymm13, [rsi + 96]
    PRIME_STEP 0, 8, 1
    PRIME_STEP 1, 9, 2
    PRIME_STEP 2, 10, 3
    PRIME_STEP 3, 11, 4
    P384_SPILL 3
    vmovapd ymm13, [rsi + 128]
    PRIME_STEP 0, 8, 0
    PRIME_STEP 1, 9, 1
    PRIME_STEP 2, 10, 2
    PRIME_STEP 3, 11, 3
    P384_QUOTIENT 7, 8, 9, 10, 11
    P384_KEEP 3, 7
    vmovapd ymm13, [rsi + 160]
    PRIME_STEP 1, 9, 0
    PRIME_STEP 2, 10, 1
    PRIME_STEP 3, 11, 2
    vmovapd ymm13, [rsi + 192]
    PRIME_STEP 2, 10, 0
    PRIME_STEP 3, 11, 1
    vmovapd ymm13, [rsi + 224]
    PRIME_STEP 3, 11, 0
    PRIME_HAND_ON 0, 9
    PRIME_HAND_ON 1, 10
    PRIME_HAND_ON 2, 11
    # Columns 8 to 11, and quotient digits 4 to 7.
    vmovapd ymm13, [rsi + 128]
    PRIME_FIRST 0, 4, 4
    PRIME_HAND_ON 3, 4
    P384_UNSPILL 4
    P384_LAST_TERM 0, 4
    PRIME_FIRST 1, 5, 5
    P384_LAST_TERM 1, 5
    PRIME_FIRST 2, 6, 6
    P384_LAST_TERM 2, 6
    PRIME_FIRST 3, 7, 7
    P384_LAST_TERM 3, 7
    P384_CARRY 9, 10
    P384_QUOTIENT 8, 9, 10, 11, 4
    P384_KEEP 4, 8
    vmovapd ymm13, [rsi + 160]
    PRIME_STEP 0, 4, 3
    PRIME_STEP 1, 5, 4
    PRIME_STEP 2, 6, 5
    PRIME_STEP 3, 7, 6
    vmovapd ymm13, [rsi + 192]
    PRIME_STEP 0, 4, 2
    PRIME_STEP 1, 5, 3
    PRIME_STEP 2, 6, 4
    PRIME_STEP 3, 7, 5
    P384_CARRY 10, 11
    P384_QUOTIENT 9, 10, 11, 4, 5
    P384_KEEP 5, 9
    vmovapd ymm13, [rsi + 224]
    PRIME_STEP 0, 4, 1
    PRIME_STEP 1, 5, 2
    PRIME_STEP 2, 6, 3
    PRIME_STEP 3, 7, 4
    vmovapd ymm13, [rsi + 96]
    PRIME_STEP 0, 4, 5
    PRIME_STEP 1, 5, 6
    PRIME_STEP 2, 6, 7
    P384_QUOTIENT 10, 11, 4, 5, 6
    P384_KEEP 6, 10
    vmovapd ymm13, [rsi + 64]
    PRIME_STEP 0, 4, 6
    PRIME_STEP 1, 5, 7
    vmovapd ymm13, [rsi + 32]
    PRIME_STEP 0, 4, 7
    PRIME_HAND_ON 0, 5
    PRIME_HAND_ON 1, 6
    PRIME_HAND_ON 2, 7
    P384_QUOTIENT 11, 4, 5, 6, 7
    P384_KEEP 7, 11
    # Columns 12 to 14, and quotient digit 8.
    vmovapd ymm13, [rsi + 224]
    PRIME_FIRST 0, 8, 5
    PRIME_HAND_ON 3, 8
    P384_LAST_TERM 4, 8
    PRIME_FIRST 1, 9, 6
    P384_LAST_TERM 5, 9
    PRIME_FIRST 2, 10, 7
    P384_LAST_TERM 6, 10
    vmovapd ymm13, [rsi + 192]
    PRIME_STEP 0, 8, 6
    PRIME_STEP 1, 9, 7
    vmovapd ymm13, [rsi + 160]
    PRIME_STEP 0, 8, 7
    PRIME_HAND_ON 0, 9
    PRIME_HAND_ON 1, 10
    P384_QUOTIENT_LAST 4, 5, 6, 7
    P384_FINISH
END avx2fma_p384_mul
