# Column passes: the parts that the AVX2+FMA Montgomery multiplication and squaring are made of.
#
# Four independent numbers stand side by side, one in each 64-bit lane of a ymm register. A number has N
# signed digits of K bits, held as exact integers in doubles. A product is computed by columns (product
# scanning), 7 neighbouring columns at a time, because 7 is what 16 registers allow: each column has a high
# and a low accumulator. Where N is not a multiple of 7, one group in each half of a product is narrow: 5
# columns.
#
# One exact product. With the column's high accumulator H, a multiple of 2^K inside the binade of
# chi = 1.5 * 2^(52+K) (where one ulp is 2^K), and with default rounding:
#       H' = fma(x, y, H)            the product, rounded to a multiple of 2^K, goes into H
#       s  = H - H'                  exact: minus what went into H
#       l  = fma(x, y, s)            exact: the rest of the product, |l| <= 2^(K-1)
#       L += l
# Precondition (checked by src/arch/fma/montgomery/range_proof.rs for every shape): the products between two
# rebases sum to at most 2^(K+51) in absolute value, and a column's low parts to less than 2^53.
#
# Registers of every routine in this file
#   ymm0-6    H of columns 0-6                  ymm7-13   L of columns 0-6
#   ymm14     scratch, chi on entry of the first row      ymm15   the row digit x
#   rsi       the row block: x[t] is at rsi + 32 t
#   rdx       the other operand: its digit for column c and row t is at rdx + 32 (c - t)
#   rdi       where the finished digits go
#   r8d       full passes still to do
#   cl        passes that H can still take before it must be rebased
#   r9        the group's entry in the schedule: see the offsets below, and schedule.rs, which writes it
#   eax       rebases done in this group: 0 means that X holds nothing yet
#   r10       scratch frame, r11 constants: see the offsets below
#   r12, r13  while a square is computed: 2 acc and acc; otherwise the operands of T
# Instruction and address traces depend on the schedule alone, that is on the size of the moduli.

.set MBF_PH, 0          # scratch: H of the previous group's last column, to be added to column 0
.set MBF_PC, 32         # scratch: carry out of the previous group's last column
.set MBF_X, 64          # scratch: what rebases took out of H, 7 columns
.set MBF_ACC, 288       # scratch: where the result goes
.set MBF_UPPER, 296     # scratch: the schedule of the upper half of T
.set MBF_PH2, 320       # scratch: PH and PC of T while m is computed
.set MBF_PC2, 352
.set MBF_D, 384         # scratch: the double-width product, 2 N digits; a zero; M, N digits; A2, N digits

.set MBF_CHI, 0         # constants: 1.5 * 2^(52+K)
.set MBF_INV, 32        # constants: 2^-K
.set MBF_BUDGET, 64     # constants: passes between two rebases
.set MBF_LCARRY, 72     # constants: nonzero when long columns must carry their low accumulators, too
.set MBF_MERGED, 80     # constants: nonzero when the upper halves of T and m n share their accumulators
.set MBF_GROUPS, 88     # constants: groups in each half of a product
.set MBF_TURNS, 96      # constants: N / 7
.set MBF_SCHEDULE, 128  # constants: the entries: product, lower and upper half; square, lower and upper half

.set MBF_ENTRY, 16      # bytes of an entry
.set MBF_E_X, 0         # entry: offset of the first row digit
.set MBF_E_Y, 4         # entry: offset of the other operand's digit for column 0, row 0
.set MBF_E_TRIANGLE, 8  # entry: nonzero when the group opens with an upper triangle
.set MBF_E_FULL, 9      # entry: full passes
.set MBF_E_CLOSE, 10    # entry: 0 nothing, 1 lower triangle, 2 even, 3 odd, 4 last diagonal
.set MBF_E_WEIGHT, 11   # entry: what triangle and full passes take from the budget: 2 for doubled rows
.set MBF_E_NARROW, 12   # entry: nonzero for 5 columns

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

# MBF_STEP into a column that is not a literal.
.macro MBF_STEP_AT column, y
    .if (\column) == 0
    MBF_STEP 0, 7, \y
    .elseif (\column) == 1
    MBF_STEP 1, 8, \y
    .elseif (\column) == 2
    MBF_STEP 2, 9, \y
    .elseif (\column) == 3
    MBF_STEP 3, 10, \y
    .elseif (\column) == 4
    MBF_STEP 4, 11, \y
    .elseif (\column) == 5
    MBF_STEP 5, 12, \y
    .elseif (\column) == 6
    MBF_STEP 6, 13, \y
    .endif
.endm

# Columns lo..hi of row t.
.macro MBF_ROW t, lo, hi
    vmovapd ymm15, [rsi + 32*\t]
    .irp column, 0,1,2,3,4,5,6
    .if (\column >= \lo) && (\column <= \hi)
    MBF_STEP_AT \column, [rdx+32*(\column-\t)]
    .endif
    .endr
.endm

# Takes `passes` out of the budget, after a rebase if there are not as many left.
.macro MBF_SPEND passes
    sub cl, \passes
    jnc 77f
    CALL mbf_rebase
    sub cl, \passes
77:
.endm

# The passes over w columns. Full: rows 0-6, all columns; then step to the next row block. Lower triangle: row
# t reaches columns t and above. Upper triangle: row t reaches the columns below t; then step to row w. The
# first forms open a group: their row 0 starts the accumulators.
.macro MBF_DEFINE_PASSES w, top
.p2align 6
ROUTINE mbf_full_first_\w
    MBF_FIRST_ROW \w
    JUMP mbf_full_rest_\w
END mbf_full_first_\w
.p2align 6
ROUTINE mbf_full_\w
    MBF_ROW 0, 0, \top
ENTRY mbf_full_rest_\w
    MBF_ROW 1, 0, \top
    MBF_ROW 2, 0, \top
    MBF_ROW 3, 0, \top
    MBF_ROW 4, 0, \top
    MBF_ROW 5, 0, \top
    MBF_ROW 6, 0, \top
    add rsi, 224
    sub rdx, 224
    ret
END mbf_full_\w

.p2align 6
ROUTINE mbf_lower_first_\w
    MBF_FIRST_ROW \w
    JUMP mbf_lower_rest_\w
END mbf_lower_first_\w
.p2align 6
ROUTINE mbf_lower_\w
    MBF_ROW 0, 0, \top
ENTRY mbf_lower_rest_\w
    .irp t, 1,2,3,4,5,6
    .if \t < \w
    MBF_ROW \t, \t, \top
    .endif
    .endr
    ret
END mbf_lower_\w

.p2align 6
ROUTINE mbf_upper_\w
    .irp t, 1,2,3,4,5,6
    .if \t < \w
    MBF_ROW \t, 0, (\t-1)
    .endif
    .endr
    add rsi, 32*\w
    sub rdx, 32*\w
    ret
END mbf_upper_\w
.endm

.macro MBF_FIRST_ROW w
    vmovapd ymm15, [rsi]
    vmovapd ymm14, [r11 + MBF_CHI]
    MBF_FIRST 0, 7, [rdx]
    MBF_FIRST 1, 8, [rdx+32]
    MBF_FIRST 2, 9, [rdx+64]
    MBF_FIRST 3, 10, [rdx+96]
    MBF_FIRST 4, 11, [rdx+128]
    .if \w == 7
    MBF_FIRST 5, 12, [rdx+160]
    MBF_FIRST 6, 13, [rdx+192]
    .endif
.endm

MBF_DEFINE_PASSES 7, 6
MBF_DEFINE_PASSES 5, 4

# Pairs of a diagonal block, whose rows start at rsi (acc) and rdx (2 acc): for i in 0..6, digit i times the
# doubled digits j > i up to `top`, and the square of digit i, where base <= i + j < base + w.
.macro MBF_PAIRS base, w, i, top
    vmovapd ymm15, [rdx + 32*\i]
    .irp j, 1,2,3,4,5,6,7,8,9,10,11,12,13
    .if (\j > \i) && (\j <= \top) && ((\i + \j) >= \base) && ((\i + \j) < (\base + \w))
    MBF_STEP_AT (\i+\j-\base), [rsi+32*\j]
    .endif
    .endr
    .if (2*\i >= \base) && (2*\i < (\base + \w))
    vmovapd ymm15, [rsi + 32*\i]
    MBF_STEP_AT (2*\i-\base), ymm15
    .endif
.endm

.macro MBF_DEFINE_DIAGONAL name, base, w, first, last, top
.p2align 6
ROUTINE mbf_\name
    .irp i, 0,1,2,3,4,5,6
    .if (\i >= \first) && (\i <= \last)
    MBF_PAIRS \base, \w, \i, \top
    .endif
    .endr
    ret
END mbf_\name
.endm

# Even: the block meets itself. Odd: it meets itself and the next. Last: as odd, where there is no next block.
MBF_DEFINE_DIAGONAL even_7, 0, 7, 0, 3, 6
MBF_DEFINE_DIAGONAL odd_7, 7, 7, 0, 6, 13
MBF_DEFINE_DIAGONAL last_7, 7, 7, 1, 6, 6
MBF_DEFINE_DIAGONAL even_5, 0, 5, 0, 2, 6
MBF_DEFINE_DIAGONAL odd_5, 9, 5, 0, 6, 13

# Accumulators start from chi and from zero; "acc": the low ones from the digits at r15.
.p2align 6
ROUTINE mbf_init_acc
    vmovapd ymm0, [r11 + MBF_CHI]
    vmovapd ymm7, [r15]
    vmovapd ymm8, [r15 + 32]
    vmovapd ymm9, [r15 + 64]
    vmovapd ymm10, [r15 + 96]
    vmovapd ymm11, [r15 + 128]
    vmovapd ymm12, [r15 + 160]
    vmovapd ymm13, [r15 + 192]
    JUMP mbf_init_high
END mbf_init_acc
ROUTINE mbf_init
    vmovapd ymm0, [r11 + MBF_CHI]
    .irp l, 7,8,9,10,11,12,13
    vxorps xmm\l, xmm\l, xmm\l
    .endr
ENTRY mbf_init_high
    .irp c, 1,2,3,4,5,6
    vmovapd ymm\c, ymm0
    .endr
    mov ecx, [r11 + MBF_BUDGET]
    xor eax, eax
    ret
END mbf_init

# Rebase: H has taken all that its binade holds. Move it to X and start again from chi. Where a column is so
# long that L could leave the exact integers, its multiples of 2^K move to X as well.
.macro MBF_REBASE_LOW c, l
    vaddpd ymm14, ymm\l, ymm15
    vsubpd ymm14, ymm14, ymm15
    vsubpd ymm\l, ymm\l, ymm14
    vaddpd ymm14, ymm14, [r10 + MBF_X + 32*\c]
    vmovapd [r10 + MBF_X + 32*\c], ymm14
.endm
.p2align 6
ROUTINE mbf_rebase
    vmovapd ymm15, [r11 + MBF_CHI]
    test eax, eax
    jnz 31f
    .irp c, 0,1,2,3,4,5,6
    vsubpd ymm14, ymm\c, ymm15
    vmovapd [r10 + MBF_X + 32*\c], ymm14
    vmovapd ymm\c, ymm15
    .endr
    jmp 32f
31:
    .irp c, 0,1,2,3,4,5,6
    vsubpd ymm14, ymm\c, ymm15
    vaddpd ymm14, ymm14, [r10 + MBF_X + 32*\c]
    vmovapd [r10 + MBF_X + 32*\c], ymm14
    vmovapd ymm\c, ymm15
    .endr
32:
    inc eax
    mov ecx, [r11 + MBF_BUDGET]
    cmp dword ptr [r11 + MBF_LCARRY], 0
    je 33f
    MBF_REBASE_LOW 0, 7
    MBF_REBASE_LOW 1, 8
    MBF_REBASE_LOW 2, 9
    MBF_REBASE_LOW 3, 10
    MBF_REBASE_LOW 4, 11
    MBF_REBASE_LOW 5, 12
    MBF_REBASE_LOW 6, 13
33:
    ret
END mbf_rebase

# Finish a group. First the columns' values: v[c] = L[c] + (H[c-1] - chi) / 2^K, column 0 taking the previous
# group's last H; then one parallel carry step that leaves digits |d| <= 2^(K-1) + (a few), stored to rdi,
# which advances. The value of a long column would leave the exact integers: there, L is carried into H first.
.macro MBF_CARRY_LOW c, l
    vaddpd ymm15, ymm\l, ymm14
    vsubpd ymm15, ymm15, ymm14
    vsubpd ymm\l, ymm\l, ymm15
    vaddpd ymm\c, ymm\c, ymm15
.endm
# L[l] += H[h] / 2^K.
.macro MBF_FOLD l, h
    vfmadd231pd ymm\l, ymm\h, ymm15
.endm
.p2align 6
ROUTINE mbf_finish
    vmovapd ymm14, [r11 + MBF_CHI]
    vmovapd ymm15, [r11 + MBF_INV]
    cmp byte ptr [r9 + MBF_E_NARROW], 0
    jne 32f
    .irp c, 0,1,2,3,4,5,6
    vsubpd ymm\c, ymm\c, ymm14
    .endr
    test eax, eax
    jz 31f
    .irp c, 0,1,2,3,4,5,6
    vaddpd ymm\c, ymm\c, [r10 + MBF_X + 32*\c]
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
    MBF_FOLD 8, 0
    MBF_FOLD 9, 1
    MBF_FOLD 10, 2
    MBF_FOLD 11, 3
    MBF_FOLD 12, 4
    MBF_FOLD 13, 5
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
    MBF_FOLD 8, 0
    MBF_FOLD 9, 1
    MBF_FOLD 10, 2
    MBF_FOLD 11, 3
    MBF_FOLD 12, 4
    MBF_FOLD 13, 5
    vmovapd [rdi], ymm7
    vmovapd [rdi + 32], ymm8
    vmovapd [rdi + 64], ymm9
    vmovapd [rdi + 96], ymm10
    vmovapd [rdi + 128], ymm11
    vmovapd [rdi + 160], ymm12
    vmovapd [rdi + 192], ymm13
    add rdi, 224
    ret
    # The same for 5 columns, which are never rebased.
.p2align 5
32:
    .irp c, 0,1,2,3,4
    vsubpd ymm\c, ymm\c, ymm14
    .endr
    vfmadd231pd ymm7, ymm15, [r10 + MBF_PH]
    vmovapd [r10 + MBF_PH], ymm4
    MBF_FOLD 8, 0
    MBF_FOLD 9, 1
    MBF_FOLD 10, 2
    MBF_FOLD 11, 3
    vaddpd ymm0, ymm7, ymm14
    vaddpd ymm1, ymm8, ymm14
    vaddpd ymm2, ymm9, ymm14
    vaddpd ymm3, ymm10, ymm14
    vaddpd ymm4, ymm11, ymm14
    .irp c, 0,1,2,3,4
    vsubpd ymm\c, ymm\c, ymm14
    .endr
    vsubpd ymm7, ymm7, ymm0
    vsubpd ymm8, ymm8, ymm1
    vsubpd ymm9, ymm9, ymm2
    vsubpd ymm10, ymm10, ymm3
    vsubpd ymm11, ymm11, ymm4
    vfmadd231pd ymm7, ymm15, [r10 + MBF_PC]
    vmovapd [r10 + MBF_PC], ymm4
    MBF_FOLD 8, 0
    MBF_FOLD 9, 1
    MBF_FOLD 10, 2
    MBF_FOLD 11, 3
    vmovapd [rdi], ymm7
    vmovapd [rdi + 32], ymm8
    vmovapd [rdi + 64], ymm9
    vmovapd [rdi + 96], ymm10
    vmovapd [rdi + 128], ymm11
    add rdi, 160
    ret
END mbf_finish

# rsi and rdx, on entry the operands, become the group's row block and column base.
.macro MBF_SEEK
    movsxd r8, dword ptr [r9 + MBF_E_X]
    add rsi, r8
    movsxd r8, dword ptr [r9 + MBF_E_Y]
    add rdx, r8
    movzx r8d, byte ptr [r9 + MBF_E_FULL]
.endm

# A whole group of the lower half of a product, accumulators started by its first row: full passes, lower
# triangle, finish. In: r9 entry, rsi and rdx operands, rdi.
.macro MBF_LOWER_GROUP w
    test r8d, r8d
    jz 34f
    CALL mbf_full_first_\w
    jmp 33f
32:
    MBF_SPEND 1
    CALL mbf_full_\w
33:
    dec r8d
    jnz 32b
    MBF_SPEND 1
    CALL mbf_lower_\w
    JUMP mbf_finish
34:
    CALL mbf_lower_first_\w
    JUMP mbf_finish
.endm
ROUTINE mbf_lower_group
    MBF_SEEK
    xor eax, eax
    mov ecx, [r11 + MBF_BUDGET]
    dec ecx
    cmp byte ptr [r9 + MBF_E_NARROW], 0
    jne 39f
    MBF_LOWER_GROUP 7
39:
    MBF_LOWER_GROUP 5
END mbf_lower_group

# The passes of any group into accumulators that are in use. In: r9 entry, rsi and rdx operands.
.macro MBF_OPEN w
    cmp byte ptr [r9 + MBF_E_TRIANGLE], 0
    je 32f
    MBF_SPEND [r9+MBF_E_WEIGHT]
    CALL mbf_upper_\w
    jmp 32f
33:
    MBF_SPEND [r9+MBF_E_WEIGHT]
    CALL mbf_full_\w
32:
    dec r8d
    jns 33b
    cmp byte ptr [r9 + MBF_E_CLOSE], 0
    jne 34f
    ret
    # The diagonal: its rows are those that come next; from r12 (2 acc) find them in r13 (acc).
34:
    mov rdx, rsi
    sub rsi, r12
    add rsi, r13
    cmp byte ptr [r9 + MBF_E_CLOSE], 3
.endm
ROUTINE mbf_group
    MBF_SEEK
    cmp byte ptr [r9 + MBF_E_NARROW], 0
    jne 39f
    MBF_OPEN 7
    jb 35f
    ja 36f
    MBF_SPEND 2
    JUMP mbf_odd_7
35:
    MBF_SPEND 1
    JUMP mbf_even_7
36:
    MBF_SPEND 1
    JUMP mbf_last_7
39:
    MBF_OPEN 5
    jb 37f
    JUMP mbf_odd_5
37:
    JUMP mbf_even_5
END mbf_group

# Clears what groups hand to each other.
.macro MBF_CLEAR_CARRIES
    vxorps xmm0, xmm0, xmm0
    vmovapd [r10 + MBF_PH], ymm0
    vmovapd [r10 + MBF_PC], ymm0
.endm

# The frame that both kernels share. In: rdi acc, rsi b, rdx n, rcx n_inv, r8 scratch, r9 constants. After it:
# r12 acc, r13 b, rbx n, rbp n_inv, r10 scratch, r11 constants, r14 the bytes of one number, rdi the product,
# r15d groups still to do.
.macro MBF_PROLOGUE
    SAVE rbp
    SAVE rbx
    SAVE r12
    SAVE r13
    SAVE r14
    SAVE r15
    mov r12, rdi
    mov r13, rsi
    mov rbx, rdx
    mov rbp, rcx
    mov r10, r8
    mov r11, r9
    mov [r10 + MBF_ACC], rdi
    mov r14, [rsp + 56]
    shl r14, 5
    lea rdi, [r10 + MBF_D]
    mov r15d, [r11 + MBF_GROUPS]
    MBF_CLEAR_CARRIES
.endm
.macro MBF_EPILOGUE
    RESTORE r15
    RESTORE r14
    RESTORE r13
    RESTORE r12
    RESTORE rbx
    RESTORE rbp
    vzeroupper
    ret
.endm
