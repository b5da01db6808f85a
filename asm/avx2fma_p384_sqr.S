# out = a^2 / R mod p in every lane, numbers as in avx2fma_p384.S.
#
# In:   rdi out, 8 vectors   rsi unused   rdx a, 8 vectors   rcx constants
# Precondition: digits are those of sums of two reduced elements; out does not overlap a.
# Out:  reduced digits. out is scratch until then.
#
# Row i of a group of columns is the square of digit i, if it belongs there, then its double times the digits
# after it: a product of two different digits occurs twice.
FUNCTION avx2fma_p384_sqr
    P384_BEGIN
    # Columns 0 to 3.
    vmovapd ymm13, [rdx]
    PRIME_FIRST_SQUARE 0, 4
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 1, 5, 1
    PRIME_FIRST 2, 6, 2
    PRIME_FIRST 3, 7, 3
    vmovapd ymm13, [rdx + 32]
    PRIME_SQUARE 2, 6
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 3, 7, 2
    PRIME_HAND_ON 0, 5
    PRIME_HAND_ON 1, 6
    PRIME_HAND_ON 2, 7
    # Columns 4 to 7, and quotient digits 0 to 3.
    vmovapd ymm13, [rdx]
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 0, 8, 4
    PRIME_HAND_ON 3, 8
    PRIME_FIRST 1, 9, 5
    PRIME_FIRST 2, 10, 6
    PRIME_FIRST 3, 11, 7
    P384_QUOTIENT 4, 5, 6, 7, 8
    P384_KEEP 0, 4
    vmovapd ymm13, [rdx + 32]
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 0, 8, 3
    PRIME_STEP 1, 9, 4
    PRIME_STEP 2, 10, 5
    PRIME_STEP 3, 11, 6
    P384_SPILL 3
    P384_QUOTIENT 5, 6, 7, 8, 9
    P384_KEEP 1, 5
    vmovapd ymm13, [rdx + 64]
    PRIME_SQUARE 0, 8
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 1, 9, 3
    PRIME_STEP 2, 10, 4
    PRIME_STEP 3, 11, 5
    P384_QUOTIENT 6, 7, 8, 9, 10
    P384_KEEP 2, 6
    vmovapd ymm13, [rdx + 96]
    PRIME_SQUARE 2, 10
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 3, 11, 4
    PRIME_HAND_ON 0, 9
    PRIME_HAND_ON 1, 10
    PRIME_HAND_ON 2, 11
    P384_QUOTIENT 7, 8, 9, 10, 11
    P384_KEEP 3, 7
    # Columns 8 to 11, and quotient digits 4 to 7.
    vmovapd ymm13, [rdx + 128]
    PRIME_FIRST_SQUARE 0, 4
    vaddpd ymm13, ymm13, ymm13
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
    vmovapd ymm13, [rdx + 96]
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 0, 4, 5
    PRIME_STEP 1, 5, 6
    PRIME_STEP 2, 6, 7
    P384_CARRY 10, 11
    P384_QUOTIENT 9, 10, 11, 4, 5
    P384_KEEP 5, 9
    vmovapd ymm13, [rdx + 64]
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 0, 4, 6
    PRIME_STEP 1, 5, 7
    vmovapd ymm13, [rdx + 32]
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 0, 4, 7
    P384_QUOTIENT 10, 11, 4, 5, 6
    P384_KEEP 6, 10
    vmovapd ymm13, [rdx + 160]
    PRIME_SQUARE 2, 6
    vaddpd ymm13, ymm13, ymm13
    PRIME_STEP 3, 7, 6
    PRIME_HAND_ON 0, 5
    PRIME_HAND_ON 1, 6
    PRIME_HAND_ON 2, 7
    P384_QUOTIENT 11, 4, 5, 6, 7
    P384_KEEP 7, 11
    # Columns 12 to 14, and quotient digit 8.
    vmovapd ymm13, [rdx + 160]
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 0, 8, 7
    PRIME_HAND_ON 3, 8
    P384_LAST_TERM 4, 8
    vmovapd ymm13, [rdx + 192]
    PRIME_SQUARE 0, 8
    vaddpd ymm13, ymm13, ymm13
    PRIME_FIRST 1, 9, 7
    P384_LAST_TERM 5, 9
    vmovapd ymm13, [rdx + 224]
    PRIME_FIRST_SQUARE 2, 10
    P384_LAST_TERM 6, 10
    PRIME_HAND_ON 0, 9
    PRIME_HAND_ON 1, 10
    P384_QUOTIENT_LAST 4, 5, 6, 7
    P384_FINISH
END avx2fma_p384_sqr
