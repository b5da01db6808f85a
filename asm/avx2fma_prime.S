# Products modulo the primes of the NIST curves: what the kernels avx2fma_p256_*.S and avx2fma_p384_*.S have
# in common.
#
# Four independent elements stand side by side, one in each 64-bit lane of a ymm register. An element has
# signed digits of 48 bits, held as exact integers in doubles: x = sum of x[i] 2^(48 i). Column c collects the
# products x[i] y[j] with i + j = c.
#
# One exact product, with the column's high accumulator H inside the binade of chi = 1.5 * 2^100 (one ulp is
# 2^48):
#       H' = fma(x, y, H)            the product, rounded to a multiple of 2^48, goes into H
#       s  = H - H'                  exact: minus what went into H
#       l  = fma(x, y, s)            exact: the rest of the product, |l| <= 2^47
#       L += l
# A finished column holds L, and what the H before it hands on.
#
# Precondition: digits of operands are those of sums of two reduced elements.
# src/arch/fma/prime/range_proof.rs executes the sources, and proves for those that each operation is exact,
# that results are right, and reduced.
#
# Registers: ymm12 scratch of a product, ymm13 the row digit x, ymm15 chi; rcx constants: see the offsets
# below.
# Instruction and address traces are fixed.

.set PRIME_CHI, 0       # 1.5 * 2^100, also what rounds to multiples of 2^48
.set PRIME_INV, 32      # 2^-48

# The row digit times digit j of the operand in rdx, into a column's H and L.
.macro PRIME_STEP h, l, j
    vmovapd ymm12, ymm\h
    vfmadd231pd ymm\h, ymm13, [rdx + 32*\j]
    vsubpd ymm12, ymm12, ymm\h
    vfmadd231pd ymm12, ymm13, [rdx + 32*\j]
    vaddpd ymm\l, ymm\l, ymm12
.endm

# The same, as the first product of the column: starts H from chi and L from nothing.
.macro PRIME_FIRST h, l, j
    vmovapd ymm\h, ymm15
    vfmadd231pd ymm\h, ymm13, [rdx + 32*\j]
    vsubpd ymm\l, ymm15, ymm\h
    vfmadd231pd ymm\l, ymm13, [rdx + 32*\j]
.endm

# The row digit's square.
.macro PRIME_SQUARE h, l
    vmovapd ymm12, ymm\h
    vfmadd231pd ymm\h, ymm13, ymm13
    vsubpd ymm12, ymm12, ymm\h
    vfmadd231pd ymm12, ymm13, ymm13
    vaddpd ymm\l, ymm\l, ymm12
.endm

# The same, as the first product of the column.
.macro PRIME_FIRST_SQUARE h, l
    vmovapd ymm\h, ymm15
    vfmadd231pd ymm\h, ymm13, ymm13
    vsubpd ymm\l, ymm15, ymm\h
    vfmadd231pd ymm\l, ymm13, ymm13
.endm

# All products of a column are in its H, in units of 2^48 these go to the L of the next one.
.macro PRIME_HAND_ON h, next
    vsubpd ymm\h, ymm\h, ymm15
    vfmadd231pd ymm\next, ymm\h, [rcx + PRIME_INV]
.endm
