# Multiplication and squaring of numbers of any count of blocks, AVX-512 IFMA: see ifma_mul.inc and
# ifma_sqr.inc.

COLUMN_ROUTINES avx512ifma
SQUARE_ROUTINES avx512ifma

FUNCTION avx512ifma_mul
    MUL avx512ifma
END avx512ifma_mul

FUNCTION avx512ifma_sqr
    SQR avx512ifma
END avx512ifma_sqr
