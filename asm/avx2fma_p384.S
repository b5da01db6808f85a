# Montgomery multiplication modulo p = 2^384 - 2^128 - 2^96 + 2^32 - 1, R = 2^432: the parts that both kernels
# (avx2fma_p384_mul.S, _sqr.S) are made of.
#
# Elements have 8 digits; digits, products and columns are those of avx2fma_prime.S. R has one digit more, or
# it would not exceed p: there are 9 quotient digits.
#
# When column k's turn comes, it holds V[k]. Rounded to multiples of 2^16, that is V[k] = y + z with |z| <=
# 2^15, and
#       m[k] = V[k] + 2^32 z,    because    V[k] + (2^32 - 1) m[k] = 2^32 y + 2^64 z
# is 2^48 u for the whole number u = y / 2^16 + 2^16 z. So adding m[k] p to the product cancels the column and
#       adds u to column k + 1, for the terms 2^32 - 1 of p,
#       subtracts m[k] + 2^32 z from column k + 2, for 2^96 and a part of 2^128: 2^32 m[k] = 2^32 z + 2^48 u,
#       subtracts u from column k + 3, for the rest of it,
#       adds m[k] to column k + 8, for 2^384.
# Nothing is split. Values are not cut down to 48 bits either, as long as they stay below 2^53: columns 5 and
# 6 must be, and the result's last digit, whose excess is folded: 2^384 = 2^128 + 2^96 - 2^32 + 1.
#
# Four columns are at work at a time, with H in ymm0-3. Their L are ymm4-7 or ymm8-11, in turn: quotients come
# from the one group while the other is made.
#
# Registers of both kernels
#   ymm0-3    H                            ymm4-11   L
#   ymm14     z                            ymm12, 13, 15   see avx2fma_prime.S
#   rdi       the result; until it is written, m[k] at rdi + 32 k
#   rsi, rdx  the operands                 rcx       constants: see the offsets below

.set P384_ROUND, 64     # 1.5 * 2^68: rounds to multiples of 2^16
.set P384_N16, 96       # 2^-16
.set P384_P16, 128      # 2^16
.set P384_P32, 160      # 2^32
.set P384_FOLD_0, 192   # 2^-48 - 2^-16
.set P384_FOLD_2, 224   # 2^-48 + 2^-16
.set P384_Z2, 256       # 1 - 2^33: z in column k + 2, see P384_QUOTIENT

.macro P384_BEGIN
    vmovapd ymm15, [rcx + PRIME_CHI]
    vsubpd ymm14, ymm15, ymm15
.endm

# Column k is complete in \v, except for 2^16 z of column k - 1, which is in ymm14: it does not change what is
# rounded off, so column k + 1 need not wait for it. \v becomes m[k], ymm14 becomes z; \v1 to \v4 are the L of
# the columns after it. As 2^16 z is still to come in the next turn's y, so is z in its u, in columns k + 2
# and k + 4. Overwrites the row digit.
.macro P384_QUOTIENT v, v1, v2, v3, v4
    vaddpd ymm12, ymm\v, [rcx + P384_ROUND]
    vsubpd ymm12, ymm12, [rcx + P384_ROUND]
    vfmadd231pd ymm\v1, ymm12, [rcx + P384_N16]
    vsubpd ymm13, ymm\v, ymm12
    vfmadd231pd ymm\v, ymm14, [rcx + P384_P16]
    vfnmadd231pd ymm\v3, ymm12, [rcx + P384_N16]
    vsubpd ymm\v2, ymm\v2, ymm\v
    vfmadd231pd ymm\v2, ymm13, [rcx + P384_Z2]
    vfmadd231pd ymm\v, ymm13, [rcx + P384_P32]
    vfnmadd231pd ymm\v3, ymm13, [rcx + P384_P16]
    vsubpd ymm\v4, ymm\v4, ymm13
    vmovapd ymm14, ymm13
.endm

# The same for column 8, the last one.
.macro P384_QUOTIENT_LAST v, v1, v2, v3
    vaddpd ymm12, ymm\v, [rcx + P384_ROUND]
    vsubpd ymm12, ymm12, [rcx + P384_ROUND]
    vfmadd231pd ymm\v1, ymm12, [rcx + P384_N16]
    vsubpd ymm13, ymm\v, ymm12
    vfmadd231pd ymm\v, ymm14, [rcx + P384_P16]
    vfmadd231pd ymm\v1, ymm13, [rcx + P384_P16]
    vfnmadd231pd ymm\v3, ymm12, [rcx + P384_N16]
    vfmadd231pd ymm\v, ymm13, [rcx + P384_P32]
    vfnmadd231pd ymm\v3, ymm13, [rcx + P384_P16]
    vsubpd ymm\v2, ymm\v2, ymm\v
    vfnmadd231pd ymm\v2, ymm13, [rcx + P384_P32]
.endm

.macro P384_KEEP k, v
    vmovapd [rdi + 32*\k], ymm\v
.endm

# m[k] into column k + 8.
.macro P384_LAST_TERM k, l
    vaddpd ymm\l, ymm\l, [rdi + 32*\k]
.endm

# Cuts a column down to 48 bits; the rest goes to the next.
.macro P384_CARRY v, next
    vaddpd ymm12, ymm\v, ymm15
    vsubpd ymm12, ymm12, ymm15
    vsubpd ymm\v, ymm\v, ymm12
    vfmadd231pd ymm\next, ymm12, [rcx + PRIME_INV]
.endm

# Eight products are too much for the H of column 7. After half of them it goes to rdi + 224, and is started
# again.
.macro P384_SPILL h
    vsubpd ymm12, ymm\h, ymm15
    vmovapd [rdi + 224], ymm12
    vmovapd ymm\h, ymm15
.endm
.macro P384_UNSPILL next
    vmovapd ymm12, [rdi + 224]
    vfmadd231pd ymm\next, ymm12, [rcx + PRIME_INV]
.endm

# Columns 9 to 16 to digits: column 9 is in ymm5, and so on to 14 in ymm10; 15 becomes what column 14's H, in
# ymm2, hands on, and m[7]; 16 is m[8], in ymm4. One carry step in parallel: what rounding to multiples of
# 2^48 takes out of a column goes on to the next, or is folded.
# Out: the result, reduced; returns.
.macro P384_FINISH
    vmovapd ymm14, [rcx + PRIME_INV]
    vmovapd ymm11, [rdi + 224]
    vsubpd ymm2, ymm2, ymm15
    vfmadd231pd ymm11, ymm2, ymm14
    vaddpd ymm12, ymm4, ymm15
    vaddpd ymm0, ymm5, ymm15
    vaddpd ymm1, ymm6, ymm15
    vaddpd ymm2, ymm7, ymm15
    vaddpd ymm3, ymm8, ymm15
    vsubpd ymm12, ymm12, ymm15
    .irp h, 0,1,2,3
    vsubpd ymm\h, ymm\h, ymm15
    .endr
    vsubpd ymm4, ymm4, ymm12
    vsubpd ymm5, ymm5, ymm0
    vsubpd ymm6, ymm6, ymm1
    vsubpd ymm7, ymm7, ymm2
    vsubpd ymm8, ymm8, ymm3
    vfmadd231pd ymm6, ymm0, ymm14
    vfmadd231pd ymm7, ymm1, ymm14
    vfmadd231pd ymm8, ymm2, ymm14
    vfmadd231pd ymm5, ymm12, [rcx + P384_FOLD_0]
    vfmadd231pd ymm7, ymm12, [rcx + P384_FOLD_2]
    vaddpd ymm0, ymm9, ymm15
    vaddpd ymm1, ymm10, ymm15
    vaddpd ymm2, ymm11, ymm15
    .irp h, 0,1,2
    vsubpd ymm\h, ymm\h, ymm15
    .endr
    vsubpd ymm9, ymm9, ymm0
    vsubpd ymm10, ymm10, ymm1
    vsubpd ymm11, ymm11, ymm2
    vfmadd231pd ymm9, ymm3, ymm14
    vfmadd231pd ymm10, ymm0, ymm14
    vfmadd231pd ymm11, ymm1, ymm14
    vfmadd231pd ymm4, ymm2, ymm14
    vmovapd [rdi], ymm5
    vmovapd [rdi + 32], ymm6
    vmovapd [rdi + 64], ymm7
    vmovapd [rdi + 96], ymm8
    vmovapd [rdi + 128], ymm9
    vmovapd [rdi + 160], ymm10
    vmovapd [rdi + 192], ymm11
    vmovapd [rdi + 224], ymm4
    vzeroupper
    ret
.endm
