# acc = acc^(2^times) / R^(2^times - 1) mod n in every lane, R = 2^1040: squarings in a row.
#
# Precondition: acc < 2n and 16n < R, n odd, rdx[0] = -1/n mod 2^52, digits below 2^52, times > 0.
# Out: acc < 2n, because acc * acc / R + n < n/4 + n; digits below 2^52.
#
# The 40 columns of the square are computed ten at a time from digits in registers: the products of different
# digits once, doubled, then the squares. The upper columns come first and go to memory. When only columns 0
# to 9 are left, digits 10 to 19 are not needed any more, and their registers take the columns: so the lower
# half stays in registers for the reduction.
#
# rdi acc, rsi n, rdx n_inv, rcx scratch (20 vectors), r8 times
#   0 to 19   the digits of acc
#   20 to 29  ten columns; in the end columns 10 to 19
#   10 to 19  in the end columns 0 to 9

# Columns \base to \base + 9, in registers \first to \first + 9.
.macro SQUARE_COLUMNS base, first
    .set .Lc, 0
    .rept 10
        ZERO %(\first + .Lc)
        .set .Lc, .Lc + 1
    .endr
    .set .Li, 0
    .rept 19
        .set .Lj, .Li + 1
        .rept 19 - .Li
            .if (.Li + .Lj >= \base) & (.Li + .Lj <= \base + 9)
                LO %(.Li + .Lj - \base + \first), %(.Li), %(.Lj)
            .endif
            .set .Lj, .Lj + 1
        .endr
        .set .Lj, .Li + 1
        .rept 19 - .Li
            .if (.Li + .Lj + 1 >= \base) & (.Li + .Lj + 1 <= \base + 9)
                HI %(.Li + .Lj + 1 - \base + \first), %(.Li), %(.Lj)
            .endif
            .set .Lj, .Lj + 1
        .endr
        .set .Li, .Li + 1
    .endr
    # Columns 0 and 39 have squares only.
    .set .Lc, 0
    .rept 10
        .if (\base + .Lc > 0) & (\base + .Lc < 39)
            ADD %(\first + .Lc), %(\first + .Lc)
        .endif
        .set .Lc, .Lc + 1
    .endr
    .set .Li, \base / 2
    .rept 5
        LO %(2 * .Li - \base + \first), %(.Li), %(.Li)
        HI %(2 * .Li + 1 - \base + \first), %(.Li), %(.Li)
        .set .Li, .Li + 1
    .endr
.endm

FUNCTION avx512ifma_sqr20
    .set .Li, 0
    .rept 20
        LOAD %(.Li), rdi, %(.Li)
        .set .Li, .Li + 1
    .endr
2:
    SQUARE_COLUMNS 30, 20
    .set .Li, 0
    .rept 10
        STORE %(20 + .Li), rcx, %(10 + .Li)
        .set .Li, .Li + 1
    .endr
    SQUARE_COLUMNS 20, 20
    .set .Li, 0
    .rept 10
        STORE %(20 + .Li), rcx, %(.Li)
        .set .Li, .Li + 1
    .endr
    SQUARE_COLUMNS 10, 20
    SQUARE_COLUMNS 0, 10
    CALL avx512ifma_reduce20
    dec r8
    jnz 2b
    .set .Li, 0
    .rept 20
        STORE %(.Li), rdi, %(.Li)
        .set .Li, .Li + 1
    .endr
    vzeroupper
    ret
END avx512ifma_sqr20
