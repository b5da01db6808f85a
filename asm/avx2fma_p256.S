# Montgomery multiplication modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, R = 2^288: the parts that both
# kernels (avx2fma_p256_mul.S, _sqr.S) are made of.
#
# Elements have 6 digits; digits, products and columns are those of avx2fma_prime.S.
#
# The quotient costs nothing: p = -1 mod 2^96, so m[k] is what column k holds when its turn comes, V[k] = L[k]
# + H[k-1] / 2^48, all of it. Adding m[k] p to the product cancels the column, without a carry, and
#       adds m[k] to columns k + 2 and k + 4, subtracts 2^32 m[k] from column k + 4, adds 2^16 m[k] to column
#       k + 5.
# The last two are products by powers of two, split as any other. No m[k] is cut down to 48 bits: they stay
# below 2^53, and R is so much larger than p that the result stays below 20 p all the same.
#
# Columns k to k + 5 are at work at a time: column c has H in ymm(c mod 6), L in ymm(6 + c mod 6).
#
# Registers of both kernels
#   ymm0-5    H                            ymm6-11   L
#   ymm14     2^16                         ymm12, 13, 15   see avx2fma_prime.S
#   rdi       the result; until it is written, m[k] at rdi + 32 k
#   rsi, rdx  the operands                 rcx       constants: see the offsets below

.set P256_P16, 64       # 2^16
.set P256_N32, 96       # -2^32

.macro P256_BEGIN
    vmovapd ymm15, [rcx + PRIME_CHI]
    vmovapd ymm14, [rcx + P256_P16]
.endm

# Column k is complete in \l: it is m[k]. \l2 and \l4 are the L of columns k + 2 and k + 4.
.macro P256_QUOTIENT k, l, l2, l4
    vmovapd [rdi + 32*\k], ymm\l
    vaddpd ymm\l2, ymm\l2, ymm\l
    vaddpd ymm\l4, ymm\l4, ymm\l
.endm

# -2^32 m[0] into column 4, and 2^16 m[5] into column 10.
.macro P256_SHIFT_FIRST h, l, m
    vmovapd ymm12, ymm\h
    vfmadd231pd ymm\h, ymm\m, [rcx + P256_N32]
    vsubpd ymm12, ymm12, ymm\h
    vfmadd231pd ymm12, ymm\m, [rcx + P256_N32]
    vaddpd ymm\l, ymm\l, ymm12
.endm
.macro P256_SHIFT_LAST h, l, m
    vmovapd ymm12, ymm\h
    vfmadd231pd ymm\h, ymm14, ymm\m
    vsubpd ymm12, ymm12, ymm\h
    vfmadd231pd ymm12, ymm14, ymm\m
    vaddpd ymm\l, ymm\l, ymm12
.endm

# 2^16 m[before] - 2^32 m[k] into column k + 4, for m[k] in \m. The rest of both is exact at each step,
# because the one is a multiple of 2^32.
.macro P256_SHIFT h, l, m, before
    vmovapd ymm12, ymm\h
    vfmadd231pd ymm\h, ymm14, [rdi + 32*\before]
    vfmadd231pd ymm\h, ymm\m, [rcx + P256_N32]
    vsubpd ymm12, ymm12, ymm\h
    vfmadd231pd ymm12, ymm\m, [rcx + P256_N32]
    vfmadd231pd ymm12, ymm14, [rdi + 32*\before]
    vaddpd ymm\l, ymm\l, ymm12
.endm

# Columns 6 to 10 to digits, once 2^16 m[5] is in. One carry step in parallel: what rounding to multiples of
# 2^48 takes out of a column goes on to the next; digit 5 is what column 10 hands on.
# Out: the result, reduced; returns.
.macro P256_FINISH
    .irp h, 0,1,2,3,4
    vsubpd ymm\h, ymm\h, ymm15
    .endr
    vmovapd ymm13, [rcx + PRIME_INV]
    vfmadd231pd ymm7, ymm0, ymm13
    vfmadd231pd ymm8, ymm1, ymm13
    vfmadd231pd ymm9, ymm2, ymm13
    vfmadd231pd ymm10, ymm3, ymm13
    vaddpd ymm0, ymm6, ymm15
    vaddpd ymm1, ymm7, ymm15
    vaddpd ymm2, ymm8, ymm15
    vaddpd ymm3, ymm9, ymm15
    vaddpd ymm5, ymm10, ymm15
    .irp h, 0,1,2,3,5
    vsubpd ymm\h, ymm\h, ymm15
    .endr
    vsubpd ymm6, ymm6, ymm0
    vsubpd ymm7, ymm7, ymm1
    vsubpd ymm8, ymm8, ymm2
    vsubpd ymm9, ymm9, ymm3
    vsubpd ymm10, ymm10, ymm5
    vfmadd231pd ymm7, ymm0, ymm13
    vfmadd231pd ymm8, ymm1, ymm13
    vfmadd231pd ymm9, ymm2, ymm13
    vfmadd231pd ymm10, ymm3, ymm13
    vaddpd ymm4, ymm4, ymm5
    vmulpd ymm4, ymm4, ymm13
    vmovapd [rdi], ymm6
    vmovapd [rdi + 32], ymm7
    vmovapd [rdi + 64], ymm8
    vmovapd [rdi + 96], ymm9
    vmovapd [rdi + 128], ymm10
    vmovapd [rdi + 160], ymm4
    vzeroupper
    ret
.endm
