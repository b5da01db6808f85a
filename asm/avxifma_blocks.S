# Multiplication and squaring of numbers of any count of blocks, AVX-IFMA: see ifma_mul.inc and ifma_sqr.inc.

COLUMN_ROUTINES avxifma
SQUARE_ROUTINES avxifma

FUNCTION avxifma_mul
    MUL avxifma
END avxifma_mul

FUNCTION avxifma_sqr
    SQR avxifma
END avxifma_sqr
