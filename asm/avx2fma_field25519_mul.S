# out = a b mod 2^255 - 19 in 4 lanes, numbers as in avx2fma_field25519.S.
# In:   rdi out, 6 vectors   rsi a, 6 vectors   rdx b, 6 vectors   rcx constants
# Precondition: |digits| <= 2^43 + 2^26; out overlaps neither a nor b.
# Out:  |digits| <= 2^42 + 2^18. out is scratch until then.
.p2align 6
FUNCTION avx2fma_field25519_mul
    vmovapd ymm15, [rcx + F25_CHI]
    vmovapd ymm14, [rcx + F25_WRAP]
    F25_TIMES_152 rdx, 5
    F25_TIMES_152 rdx, 4
    F25_TIMES_152 rdx, 3
    F25_TIMES_152 rdx, 2
    F25_TIMES_152 rdx, 1
    # Row i: digit i of a, times b[0] to b[5-i], then times 152 b[6-i] to 152 b[5].
    vmovapd ymm13, [rsi]
    F25_FIRST 0, 6, 13, [rdx]
    F25_FIRST 1, 7, 13, [rdx + 32]
    F25_FIRST 2, 8, 13, [rdx + 64]
    F25_FIRST 3, 9, 13, [rdx + 96]
    F25_FIRST 4, 10, 13, [rdx + 128]
    F25_FIRST 5, 11, 13, [rdx + 160]
    vmovapd ymm13, [rsi + 32]
    F25_STEP 1, 7, [rdx]
    F25_STEP 2, 8, [rdx + 32]
    F25_STEP 3, 9, [rdx + 64]
    F25_STEP 4, 10, [rdx + 96]
    F25_STEP 5, 11, [rdx + 128]
    F25_STEP 0, 6, [rdi + 160]
    vmovapd ymm13, [rsi + 64]
    F25_STEP 2, 8, [rdx]
    F25_STEP 3, 9, [rdx + 32]
    F25_STEP 4, 10, [rdx + 64]
    F25_STEP 5, 11, [rdx + 96]
    F25_STEP 0, 6, [rdi + 128]
    F25_STEP 1, 7, [rdi + 160]
    vmovapd ymm13, [rsi + 96]
    F25_STEP 3, 9, [rdx]
    F25_STEP 4, 10, [rdx + 32]
    F25_STEP 5, 11, [rdx + 64]
    F25_STEP 0, 6, [rdi + 96]
    F25_STEP 1, 7, [rdi + 128]
    F25_STEP 2, 8, [rdi + 160]
    vmovapd ymm13, [rsi + 128]
    F25_STEP 4, 10, [rdx]
    F25_STEP 5, 11, [rdx + 32]
    F25_STEP 0, 6, [rdi + 64]
    F25_STEP 1, 7, [rdi + 96]
    F25_STEP 2, 8, [rdi + 128]
    F25_STEP 3, 9, [rdi + 160]
    vmovapd ymm13, [rsi + 160]
    F25_STEP 5, 11, [rdx]
    F25_STEP 0, 6, [rdi + 32]
    F25_STEP 1, 7, [rdi + 64]
    F25_STEP 2, 8, [rdi + 96]
    F25_STEP 3, 9, [rdi + 128]
    F25_STEP 4, 10, [rdi + 160]
    F25_FINISH
END avx2fma_field25519_mul
