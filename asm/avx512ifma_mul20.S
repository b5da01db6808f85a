# acc = acc * b / R mod n in every lane, R = 2^1040.
#
# Precondition: acc, b < 2n and 16n < R, n odd, rdx[0] = -1/n mod 2^52, digits below 2^52.
# Out: acc < 2n, because acc * b / R + n < n/4 + n; digits below 2^52.
#
# The 40 columns of the product are computed ten at a time, the upper ones first, as for the squaring. The
# digits of acc stay in registers; those of b come from memory, once for each ten columns that they reach.
#
# rdi acc, rsi n, rdx n_inv, rcx scratch (20 vectors), r8 b
#   0 to 19   the digits of acc
#   20 to 29  ten columns; in the end columns 10 to 19
#   10 to 19  in the end columns 0 to 9
#   30, 31    digits of b

# Columns \base to \base + 9, in registers \first to \first + 9.
.macro PRODUCT_COLUMNS base, first
    .set .Lc, 0
    .rept 10
        ZERO %(\first + .Lc)
        .set .Lc, .Lc + 1
    .endr
    .set .Lj, 0
    .rept 20
        .set .Lb, 30 + (.Lj & 1)
        .if (.Lj <= \base + 9) & (.Lj + 20 >= \base)
            LOAD %(.Lb), r8, %(.Lj)
        .endif
        .set .Li, 0
        .rept 20
            .if (.Li + .Lj >= \base) & (.Li + .Lj <= \base + 9)
                LO %(.Li + .Lj - \base + \first), %(.Li), %(.Lb)
            .endif
            .set .Li, .Li + 1
        .endr
        .set .Li, 0
        .rept 20
            .if (.Li + .Lj + 1 >= \base) & (.Li + .Lj + 1 <= \base + 9)
                HI %(.Li + .Lj + 1 - \base + \first), %(.Li), %(.Lb)
            .endif
            .set .Li, .Li + 1
        .endr
        .set .Lj, .Lj + 1
    .endr
.endm

FUNCTION avx512ifma_mul20
    .set .Li, 0
    .rept 20
        LOAD %(.Li), rdi, %(.Li)
        .set .Li, .Li + 1
    .endr
    PRODUCT_COLUMNS 30, 20
    .set .Li, 0
    .rept 10
        STORE %(20 + .Li), rcx, %(10 + .Li)
        .set .Li, .Li + 1
    .endr
    PRODUCT_COLUMNS 20, 20
    .set .Li, 0
    .rept 10
        STORE %(20 + .Li), rcx, %(.Li)
        .set .Li, .Li + 1
    .endr
    PRODUCT_COLUMNS 10, 20
    PRODUCT_COLUMNS 0, 10
    CALL avx512ifma_reduce20
    .set .Li, 0
    .rept 20
        STORE %(.Li), rdi, %(.Li)
        .set .Li, .Li + 1
    .endr
    vzeroupper
    ret
END avx512ifma_mul20
