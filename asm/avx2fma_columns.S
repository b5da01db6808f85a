# Column passes: the parts that the AVX2+FMA Montgomery multiplication and squaring are made of.
#
# Four independent numbers stand side by side, one in each 64-bit lane of a ymm register. A number is N = 7 G
# signed digits of K bits, held as exact integers in doubles, in G blocks of 7. A product is computed by columns
# (product scanning), 7 neighbouring columns at a time, because 7 is what 16 registers allow: each column has a
# high and a low accumulator.
#
# One exact product. With the column's high accumulator H, a multiple of 2^K inside the binade of
# chi = 1.5 * 2^(52+K) (where one ulp is 2^K), and with default rounding:
#       H' = fma(x, y, H)            the product, rounded to a multiple of 2^K, goes into H
#       s  = H - H'                  exact: minus what went into H
#       l  = fma(x, y, s)            exact: the rest of the product, |l| <= 2^(K-1)
#       L += l
# PRECONDITION (checked by src/arch/avx2fma/range_proof.rs for every shape): the products between two rebases
# sum to at most 2^(K+51) in absolute value, and a column's low parts to less than 2^53.
#
# Registers of every routine in this file
#   ymm0-6    H of columns 0-6                  ymm7-13   L of columns 0-6
#   ymm14     scratch, chi on entry of the "0" forms      ymm15   the row digit x
#   rsi       the row block: x[t] is at rsi + 32 t
#   rdx       the other operand: its digit for column c and row t is at rdx + 32 (c - t)
#   rdi       where the 7 finished digits go
#   r9        what the low accumulators start from, in the "acc" form
#   r8d       full passes still to do           ecx       passes that H can still take before it must be rebased
#   eax       rebases done in this group: 0 means that X holds nothing yet
#   r10       scratch frame, r11 constants: see the offsets below
# Instruction and address traces depend on G alone.

.set MBF_PH, 0          # scratch: H of the previous group's column 6, to be added to column 0
.set MBF_PC, 32         # scratch: carry out of the previous group's column 6
.set MBF_X, 64          # scratch: what rebases took out of H, 7 columns
.set MBF_D, 288         # scratch: the double-width product, 2 N digits; then a zero; then M, N digits; A2, N digits
.set MBF_CHI, 0         # constants: 1.5 * 2^(52+K)
.set MBF_INV, 32        # constants: 2^-K
.set MBF_BUDGET, 64     # constants: passes between two rebases
.set MBF_LCARRY, 72     # constants: nonzero when a rebase must carry the low accumulators, too

# One product into column c.
.macro MBF_STEP c, l, y
    vmovapd ymm14, ymm\c
    vfmadd231pd ymm\c, ymm15, \y
    vsubpd ymm14, ymm14, ymm\c
    vfmadd231pd ymm14, ymm15, \y
    vaddpd ymm\l, ymm\l, ymm14
.endm

# The first product of column c: starts H from chi (in ymm14) and L from nothing.
.macro MBF_FIRST c, l, y
    vmovapd ymm\c, ymm14
    vfmadd231pd ymm\c, ymm15, \y
    vsubpd ymm\l, ymm14, ymm\c
    vfmadd231pd ymm\l, ymm15, \y
.endm

# Columns lo..hi of row t.
.macro MBF_ROW t, lo, hi
    vmovapd ymm15, [rsi + 32*\t]
    .if (\lo <= 0) && (\hi >= 0)
    MBF_STEP 0, 7, [rdx+32*(0-\t)]
    .endif
    .if (\lo <= 1) && (\hi >= 1)
    MBF_STEP 1, 8, [rdx+32*(1-\t)]
    .endif
    .if (\lo <= 2) && (\hi >= 2)
    MBF_STEP 2, 9, [rdx+32*(2-\t)]
    .endif
    .if (\lo <= 3) && (\hi >= 3)
    MBF_STEP 3, 10, [rdx+32*(3-\t)]
    .endif
    .if (\lo <= 4) && (\hi >= 4)
    MBF_STEP 4, 11, [rdx+32*(4-\t)]
    .endif
    .if (\lo <= 5) && (\hi >= 5)
    MBF_STEP 5, 12, [rdx+32*(5-\t)]
    .endif
    .if (\lo <= 6) && (\hi >= 6)
    MBF_STEP 6, 13, [rdx+32*(6-\t)]
    .endif
.endm

# Row 0 of a pass that opens a group.
.macro MBF_ROW0
    vmovapd ymm15, [rsi]
    vmovapd ymm14, [r11 + MBF_CHI]
    MBF_FIRST 0, 7, [rdx]
    MBF_FIRST 1, 8, [rdx+32]
    MBF_FIRST 2, 9, [rdx+64]
    MBF_FIRST 3, 10, [rdx+96]
    MBF_FIRST 4, 11, [rdx+128]
    MBF_FIRST 5, 12, [rdx+160]
    MBF_FIRST 6, 13, [rdx+192]
.endm

# Takes w passes out of the budget, after a rebase if there are not as many left.
.macro MBF_SPEND w
    sub ecx, \w
    jnc 77f
    call rustls_multibuffer_mbf_rebase
    sub ecx, \w
77:
.endm

# Full pass: 49 products; then step to the next row block.
.p2align 6
rustls_multibuffer_mbf_full0:
    MBF_ROW0
    jmp rustls_multibuffer_mbf_full_from1
.p2align 6
rustls_multibuffer_mbf_full:
    MBF_ROW 0, 0, 6
rustls_multibuffer_mbf_full_from1:
    MBF_ROW 1, 0, 6
    MBF_ROW 2, 0, 6
    MBF_ROW 3, 0, 6
    MBF_ROW 4, 0, 6
    MBF_ROW 5, 0, 6
    MBF_ROW 6, 0, 6
    add rsi, 224
    sub rdx, 224
    ret

# Lower triangle: row t reaches columns t and above; 28 products. Closes a group of the lower half.
.p2align 6
rustls_multibuffer_mbf_lower0:
    MBF_ROW0
    jmp rustls_multibuffer_mbf_lower_from1
.p2align 6
rustls_multibuffer_mbf_lower:
    MBF_ROW 0, 0, 6
rustls_multibuffer_mbf_lower_from1:
    MBF_ROW 1, 1, 6
    MBF_ROW 2, 2, 6
    MBF_ROW 3, 3, 6
    MBF_ROW 4, 4, 6
    MBF_ROW 5, 5, 6
    MBF_ROW 6, 6, 6
    ret

# Upper triangle: row t reaches the columns below t; 21 products. Opens a group of the upper half.
.p2align 6
rustls_multibuffer_mbf_upper:
    MBF_ROW 1, 0, 0
    MBF_ROW 2, 0, 1
    MBF_ROW 3, 0, 2
    MBF_ROW 4, 0, 3
    MBF_ROW 5, 0, 4
    MBF_ROW 6, 0, 5
    add rsi, 224
    sub rdx, 224
    ret

# Accumulators start from chi and from the 7 digits at r9.
.p2align 6
rustls_multibuffer_mbf_init_acc:
    vmovapd ymm0, [r11 + MBF_CHI]
    vmovapd ymm7, [r9]
    vmovapd ymm8, [r9 + 32]
    vmovapd ymm9, [r9 + 64]
    vmovapd ymm10, [r9 + 96]
    vmovapd ymm11, [r9 + 128]
    vmovapd ymm12, [r9 + 160]
    vmovapd ymm13, [r9 + 192]
    jmp rustls_multibuffer_mbf_init_h

# Accumulators start from chi and from zero.
.p2align 5
rustls_multibuffer_mbf_init:
    vmovapd ymm0, [r11 + MBF_CHI]
    vxorps xmm7, xmm7, xmm7
    vxorps xmm8, xmm8, xmm8
    vxorps xmm9, xmm9, xmm9
    vxorps xmm10, xmm10, xmm10
    vxorps xmm11, xmm11, xmm11
    vxorps xmm12, xmm12, xmm12
    vxorps xmm13, xmm13, xmm13
rustls_multibuffer_mbf_init_h:
    vmovapd ymm1, ymm0
    vmovapd ymm2, ymm0
    vmovapd ymm3, ymm0
    vmovapd ymm4, ymm0
    vmovapd ymm5, ymm0
    vmovapd ymm6, ymm0
    mov ecx, [r11 + MBF_BUDGET]
    xor eax, eax
    ret

# Rebase: H has taken all that its binade holds. Move it to X and start again from chi. Where a column is so long
# that L could leave the exact integers, its multiples of 2^K move to X as well.
.macro MBF_REBASE_FIRST c
    vsubpd ymm14, ymm\c, ymm15
    vmovapd [r10 + MBF_X + 32*\c], ymm14
    vmovapd ymm\c, ymm15
.endm
.macro MBF_REBASE_NEXT c
    vsubpd ymm14, ymm\c, ymm15
    vaddpd ymm14, ymm14, [r10 + MBF_X + 32*\c]
    vmovapd [r10 + MBF_X + 32*\c], ymm14
    vmovapd ymm\c, ymm15
.endm
.macro MBF_REBASE_LOW c, l
    vaddpd ymm14, ymm\l, ymm15
    vsubpd ymm14, ymm14, ymm15
    vsubpd ymm\l, ymm\l, ymm14
    vaddpd ymm14, ymm14, [r10 + MBF_X + 32*\c]
    vmovapd [r10 + MBF_X + 32*\c], ymm14
.endm
.p2align 6
rustls_multibuffer_mbf_rebase:
    vmovapd ymm15, [r11 + MBF_CHI]
    test eax, eax
    jnz 31f
    .irp c, 0,1,2,3,4,5,6
    MBF_REBASE_FIRST \c
    .endr
    jmp 2f
31:
    .irp c, 0,1,2,3,4,5,6
    MBF_REBASE_NEXT \c
    .endr
2:
    inc eax
    mov ecx, [r11 + MBF_BUDGET]
    cmp dword ptr [r11 + MBF_LCARRY], 0
    je 3f
    MBF_REBASE_LOW 0, 7
    MBF_REBASE_LOW 1, 8
    MBF_REBASE_LOW 2, 9
    MBF_REBASE_LOW 3, 10
    MBF_REBASE_LOW 4, 11
    MBF_REBASE_LOW 5, 12
    MBF_REBASE_LOW 6, 13
3:
    ret

# Finish a group. First the columns' values: v[c] = L[c] + (H[c-1] - chi) / 2^K, column 0 taking the previous
# group's H[6]; then one parallel carry step that leaves digits |d| <= 2^(K-1) + (a few), stored to rdi. The sum of a
# long column would leave the exact integers: there, L is carried into H first.
.macro MBF_FOLD_X c
    vaddpd ymm\c, ymm\c, [r10 + MBF_X + 32*\c]
.endm
.macro MBF_CARRY_LOW c, l
    vaddpd ymm15, ymm\l, ymm14
    vsubpd ymm15, ymm15, ymm14
    vsubpd ymm\l, ymm\l, ymm15
    vaddpd ymm\c, ymm\c, ymm15
.endm
.p2align 6
rustls_multibuffer_mbf_finish:
    vmovapd ymm14, [r11 + MBF_CHI]
    vmovapd ymm15, [r11 + MBF_INV]
    .irp c, 0,1,2,3,4,5,6
    vsubpd ymm\c, ymm\c, ymm14
    .endr
    test eax, eax
    jz 31f
    .irp c, 0,1,2,3,4,5,6
    MBF_FOLD_X \c
    .endr
    cmp dword ptr [r11 + MBF_LCARRY], 0
    je 31f
    MBF_CARRY_LOW 0, 7
    MBF_CARRY_LOW 1, 8
    MBF_CARRY_LOW 2, 9
    MBF_CARRY_LOW 3, 10
    MBF_CARRY_LOW 4, 11
    MBF_CARRY_LOW 5, 12
    MBF_CARRY_LOW 6, 13
    vmovapd ymm15, [r11 + MBF_INV]
31:
    vfmadd231pd ymm7, ymm15, [r10 + MBF_PH]
    vmovapd [r10 + MBF_PH], ymm6
    vfmadd231pd ymm8, ymm0, ymm15
    vfmadd231pd ymm9, ymm1, ymm15
    vfmadd231pd ymm10, ymm2, ymm15
    vfmadd231pd ymm11, ymm3, ymm15
    vfmadd231pd ymm12, ymm4, ymm15
    vfmadd231pd ymm13, ymm5, ymm15
    vaddpd ymm0, ymm7, ymm14
    vaddpd ymm1, ymm8, ymm14
    vaddpd ymm2, ymm9, ymm14
    vaddpd ymm3, ymm10, ymm14
    vaddpd ymm4, ymm11, ymm14
    vaddpd ymm5, ymm12, ymm14
    vaddpd ymm6, ymm13, ymm14
    .irp c, 0,1,2,3,4,5,6
    vsubpd ymm\c, ymm\c, ymm14
    .endr
    vsubpd ymm7, ymm7, ymm0
    vsubpd ymm8, ymm8, ymm1
    vsubpd ymm9, ymm9, ymm2
    vsubpd ymm10, ymm10, ymm3
    vsubpd ymm11, ymm11, ymm4
    vsubpd ymm12, ymm12, ymm5
    vsubpd ymm13, ymm13, ymm6
    vfmadd231pd ymm7, ymm15, [r10 + MBF_PC]
    vmovapd [r10 + MBF_PC], ymm6
    vfmadd231pd ymm8, ymm0, ymm15
    vfmadd231pd ymm9, ymm1, ymm15
    vfmadd231pd ymm10, ymm2, ymm15
    vfmadd231pd ymm11, ymm3, ymm15
    vfmadd231pd ymm12, ymm4, ymm15
    vfmadd231pd ymm13, ymm5, ymm15
    vmovapd [rdi], ymm7
    vmovapd [rdi + 32], ymm8
    vmovapd [rdi + 64], ymm9
    vmovapd [rdi + 96], ymm10
    vmovapd [rdi + 128], ymm11
    vmovapd [rdi + 160], ymm12
    vmovapd [rdi + 192], ymm13
    ret

# A group of the lower half: r8d full passes, then the lower triangle.
.p2align 5
rustls_multibuffer_mbf_low_group:
    xor eax, eax
    mov ecx, [r11 + MBF_BUDGET]
    dec ecx
    test r8d, r8d
    jz 3f
    call rustls_multibuffer_mbf_full0
    jmp 2f
31:
    MBF_SPEND 1
    call rustls_multibuffer_mbf_full
2:
    dec r8d
    jnz 31b
    MBF_SPEND 1
    call rustls_multibuffer_mbf_lower
    jmp rustls_multibuffer_mbf_finish
3:
    call rustls_multibuffer_mbf_lower0
    jmp rustls_multibuffer_mbf_finish

# A group of the upper half, low accumulators from r9 ("acc") or from zero: the upper triangle, then r8d full
# passes.
.p2align 5
rustls_multibuffer_mbf_high_group_acc:
    call rustls_multibuffer_mbf_init_acc
    jmp 31f
.p2align 5
rustls_multibuffer_mbf_high_group:
    call rustls_multibuffer_mbf_init
31:
    dec ecx
    call rustls_multibuffer_mbf_upper
    test r8d, r8d
    jz 3f
2:
    MBF_SPEND 1
    call rustls_multibuffer_mbf_full
    dec r8d
    jnz 2b
3:
    jmp rustls_multibuffer_mbf_finish

# Clears what groups hand to each other.
.macro MBF_CLEAR_CARRIES
    vxorps xmm0, xmm0, xmm0
    vmovapd [r10 + MBF_PH], ymm0
    vmovapd [r10 + MBF_PC], ymm0
.endm

# The frame that both kernels share. In: rdi acc, rsi b, rdx n, rcx n_inv, r8 scratch, r9 constants, and on the
# stack the number of blocks G. After it: r12 acc, r13 b, rbx n, rbp n_inv, r10 scratch, r11 constants, r14 the
# bytes of one number (224 G). r15 counts groups.
.macro MBF_PROLOGUE
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov r12, rdi
    mov r13, rsi
    mov rbx, rdx
    mov rbp, rcx
    mov r10, r8
    mov r11, r9
    imul r14, [rsp + 56], 224
    MBF_CLEAR_CARRIES
.endm
.macro MBF_EPILOGUE
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    vzeroupper
    ret
.endm
