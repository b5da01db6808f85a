# Multiplication modulo 2^255 - 19: the parts that both kernels (avx2fma_field25519_mul.S, _sqr.S) are made
# of.
#
# Four independent elements stand side by side, one in each 64-bit lane of a ymm register. An element has 6
# signed digits of 43 bits, held as exact integers in doubles: x = sum of x[i] 2^(43 i). The seventh digit
# would be worth 2^258 = 8 * 19 = 152, so a product x[i] y[j] with i + j >= 6 belongs to column i + j - 6,
# times 152.
#
# One exact product, with the column's high accumulator H inside the binade of chi = 1.5 * 2^97 (one ulp is
# 2^45):
#       H' = fma(x, y, H)            the product, rounded to a multiple of 2^45, goes into H
#       s  = H - H'                  exact: minus what went into H
#       l  = fma(x, y, s)            exact: the rest of the product, |l| <= 2^44
#       L += l
# Precondition (checked by src/arch/fma/field25519/range_proof.rs): |x[i]|, |y[i]| <= 2^43 + 2^26, a sum of
# two reduced digits. Then the products of a column sum to less than 2^96, and everything else stays below
# 2^53.
#
# Registers of both kernels
#   ymm0-5    H of columns 0-5                  ymm6-11   L of columns 0-5
#   ymm12     scratch of a product              ymm13     the row digit x
#   ymm14     152, or the doubled row digit     ymm15     chi
#   rdi       the result; until it is written, 152 y[j] at rdi + 32 j
#   rsi, rdx  the operands                      rcx       constants: see the offsets below
# Instruction and address traces are fixed.

.set F25_CHI, 0         # 1.5 * 2^97
.set F25_ROUND, 32      # 1.5 * 2^95: its binade's unit in the last place is 2^43
.set F25_INV, 64        # 2^-43
.set F25_WRAP, 96       # 152
.set F25_WRAP_INV, 128  # 152 * 2^-43

# One product into column c.
.macro F25_STEP c, l, y
    vmovapd ymm12, ymm\c
    vfmadd231pd ymm\c, ymm13, \y
    vsubpd ymm12, ymm12, ymm\c
    vfmadd231pd ymm12, ymm13, \y
    vaddpd ymm\l, ymm\l, ymm12
.endm

# The same with the doubled row digit.
.macro F25_STEP_TWICE c, l, y
    vmovapd ymm12, ymm\c
    vfmadd231pd ymm\c, ymm14, \y
    vsubpd ymm12, ymm12, ymm\c
    vfmadd231pd ymm12, ymm14, \y
    vaddpd ymm\l, ymm\l, ymm12
.endm

# The first product of column c, with the factor x: starts H from chi and L from nothing.
.macro F25_FIRST c, l, x, y
    vmovapd ymm\c, ymm15
    vfmadd231pd ymm\c, ymm\x, \y
    vsubpd ymm\l, ymm15, ymm\c
    vfmadd231pd ymm\l, ymm\x, \y
.endm

# 152 times digit j of an operand, to where the result will be.
.macro F25_TIMES_152 operand, j
    vmulpd ymm12, ymm14, [\operand + 32*\j]
    vmovapd [rdi + 32*\j], ymm12
.endm

# Columns to digits. First every H, in units of 2^43, goes to the L of the next column, the last one times 152
# to column 0: |L| < 2^53. Then one carry step in parallel: what rounding to multiples of 2^43 takes out of a
# column goes on to the next.
# Out: digits |d| <= 2^42 + 2^18, reduced; returns.
.macro F25_FINISH
    vmovapd ymm12, [rcx + F25_WRAP_INV]
    vmovapd ymm13, [rcx + F25_INV]
    vmovapd ymm14, [rcx + F25_ROUND]
    .irp h, 5,0,1,2,3,4
    vsubpd ymm\h, ymm\h, ymm15
    .endr
    vfmadd231pd ymm6, ymm5, ymm12
    vfmadd231pd ymm7, ymm0, ymm13
    vfmadd231pd ymm8, ymm1, ymm13
    vfmadd231pd ymm9, ymm2, ymm13
    vfmadd231pd ymm10, ymm3, ymm13
    vfmadd231pd ymm11, ymm4, ymm13
    vaddpd ymm0, ymm6, ymm14
    vaddpd ymm1, ymm7, ymm14
    vaddpd ymm2, ymm8, ymm14
    vaddpd ymm3, ymm9, ymm14
    vaddpd ymm4, ymm10, ymm14
    vaddpd ymm5, ymm11, ymm14
    .irp h, 0,1,2,3,4,5
    vsubpd ymm\h, ymm\h, ymm14
    .endr
    vsubpd ymm6, ymm6, ymm0
    vsubpd ymm7, ymm7, ymm1
    vsubpd ymm8, ymm8, ymm2
    vsubpd ymm9, ymm9, ymm3
    vsubpd ymm10, ymm10, ymm4
    vsubpd ymm11, ymm11, ymm5
    vfmadd231pd ymm6, ymm5, ymm12
    vfmadd231pd ymm7, ymm0, ymm13
    vfmadd231pd ymm8, ymm1, ymm13
    vfmadd231pd ymm9, ymm2, ymm13
    vfmadd231pd ymm10, ymm3, ymm13
    vfmadd231pd ymm11, ymm4, ymm13
    vmovapd [rdi], ymm6
    vmovapd [rdi + 32], ymm7
    vmovapd [rdi + 64], ymm8
    vmovapd [rdi + 96], ymm9
    vmovapd [rdi + 128], ymm10
    vmovapd [rdi + 160], ymm11
    vzeroupper
    ret
.endm
