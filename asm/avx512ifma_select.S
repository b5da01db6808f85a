# out = entry index[lane] of a table, in every lane. An index past the last entry gives zero.
#
# Every entry is read whole; the comparison of its number with the indices makes the mask of the lanes that
# keep it. The mask is a vector like the digits: a load under a mask register might skip memory that no lane
# wants, and so tell the indices. Twenty digits, or ten, of all entries come before the next twenty.
#
# rdi out, rsi table, rdx index, rcx digits (a multiple of ten), r8 entries
#   zmm0 to 19   digits of out
#   zmm21 to 24  ones in the lanes that keep an entry
#   zmm26 to 29  0, 1, 2, 3: numbers of the entries of one step
#   zmm25        4
#   zmm30        index, zmm31 index less the entries passed
#   k1 to k4     the same lanes, on their way from the comparison
#   rax, r11     bytes of an entry, and of three
#   r9, r10      the next entry, and how many are left

# Adds the digits of the entry at address \at to the lanes of register \mask.
.macro KEEP mask, at:vararg
    .set .Ldigit, 0
    .rept .Lwidth
        KEEP_DIGIT %(.Ldigit), \mask, \at
        .set .Ldigit, .Ldigit + 1
    .endr
.endm
# digit |= mask & memory
.macro KEEP_DIGIT i, mask, at:vararg
    vpternlogq zmm\i, zmm\mask, [\at + 64*\i], 0xf8
.endm

# \width digits of all entries.
.macro SCAN width
    .set .Lwidth, \width
    .set .Ldigit, 0
    .rept .Lwidth
        ZERO %(.Ldigit)
        .set .Ldigit, .Ldigit + 1
    .endr
    vmovdqa64 zmm31, zmm30
    mov r9, rsi
    mov r10, r8
    sub r10, 4
    jb 4f
3:
    vpcmpeqq k1, zmm31, zmm26
    vpcmpeqq k2, zmm31, zmm27
    vpcmpeqq k3, zmm31, zmm28
    vpcmpeqq k4, zmm31, zmm29
    vpmovm2q zmm21, k1
    vpmovm2q zmm22, k2
    vpmovm2q zmm23, k3
    vpmovm2q zmm24, k4
    KEEP 21, r9
    KEEP 22, r9 + rax
    KEEP 23, r9 + 2*rax
    KEEP 24, r9 + r11
    vpsubq zmm31, zmm31, zmm25
    lea r9, [r9 + 4*rax]
    sub r10, 4
    jae 3b
4:
    # What four does not divide.
    add r10, 4
    jz 6f
5:
    vpcmpeqq k1, zmm31, zmm26
    vpmovm2q zmm21, k1
    KEEP 21, r9
    vpsubq zmm31, zmm31, zmm27
    add r9, rax
    dec r10
    jnz 5b
6:
    .set .Ldigit, 0
    .rept .Lwidth
        STORE %(.Ldigit), rdi, %(.Ldigit)
        .set .Ldigit, .Ldigit + 1
    .endr
    add rdi, 64*.Lwidth
    add rsi, 64*.Lwidth
.endm

FUNCTION avx512ifma_select
    vmovdqu64 zmm30, [rdx]
    mov eax, 1
    vpbroadcastq zmm27, rax
    ZERO 26
    vpaddq zmm28, zmm27, zmm27
    vpaddq zmm29, zmm28, zmm27
    vpaddq zmm25, zmm28, zmm28
    mov rax, rcx
    shl rax, 6
    lea r11, [rax + 2*rax]
7:
    sub rcx, 20
    jb 8f
    SCAN 20
    jmp 7b
8:
    add rcx, 20
    jz 9f
    SCAN 10
9:
    vzeroupper
    ret
END avx512ifma_select
