# out = entry index[lane] of a table, in every lane. An index past the last entry gives zero.
#
# Precondition: the table's digits are below 2^52.
#
# Every entry is read whole and multiplied by 1 in the lanes that want it, by 0 in the others: with the low
# half of a product added to a digit, masking and merging are one instruction. Ten digits of all entries come
# before the next ten.
#
# rdi out, rsi table, rdx index, rcx digits (a multiple of ten), r8 entries
#   ymm0 to 9    digits of out
#   ymm10        index less the entries passed
#   ymm11        1 in the lanes that keep the entry, else 0
#   ymm12 to 15  0, 1, 2, 3: numbers of the entries of one step
#   rax, r11     bytes of an entry, and of three
#   r9, r10      the next entry, and how many are left

# The digits of the entry at address \at, where the index is the number in register \number.
.macro KEEP number, at:vararg
    vpcmpeqq ymm11, ymm10, ymm\number
    vpsrlq ymm11, ymm11, 63
    .set .Ldigit, 0
    .rept 10
        KEEP_DIGIT %(.Ldigit), \at
        .set .Ldigit, .Ldigit + 1
    .endr
.endm
.macro KEEP_DIGIT i, at:vararg
    {vex} vpmadd52luq ymm\i, ymm11, [\at + 32*\i]
.endm

FUNCTION avxifma_select
    mov eax, 1
    vmovq xmm13, rax
    vpbroadcastq ymm13, xmm13
    ZERO 12
    vpaddq ymm14, ymm13, ymm13
    vpaddq ymm15, ymm14, ymm13
    mov rax, rcx
    shl rax, 5
    lea r11, [rax + 2*rax]
2:
    .set .Ldigit, 0
    .rept 10
        ZERO %(.Ldigit)
        .set .Ldigit, .Ldigit + 1
    .endr
    vmovdqu ymm10, [rdx]
    mov r9, rsi
    mov r10, r8
    sub r10, 4
    jb 4f
3:
    KEEP 12, r9
    KEEP 13, r9 + rax
    KEEP 14, r9 + 2*rax
    KEEP 15, r9 + r11
    vpsubq ymm10, ymm10, ymm14
    vpsubq ymm10, ymm10, ymm14
    lea r9, [r9 + 4*rax]
    sub r10, 4
    jae 3b
4:
    # What four does not divide.
    add r10, 4
    jz 6f
5:
    KEEP 12, r9
    vpsubq ymm10, ymm10, ymm13
    add r9, rax
    dec r10
    jnz 5b
6:
    .set .Ldigit, 0
    .rept 10
        STORE %(.Ldigit), rdi, %(.Ldigit)
        .set .Ldigit, .Ldigit + 1
    .endr
    add rdi, 320
    add rsi, 320
    sub rcx, 10
    jnz 2b
    vzeroupper
    ret
END avxifma_select
