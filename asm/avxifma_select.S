# out = entry index[lane] of a table, in every lane. An index past the last entry gives zero.
#
# Every entry is read whole; the comparison of its number with the indices makes the mask of the lanes that keep
# it. Ten digits of all entries come before the next ten.
#
# rdi out, rsi table, rdx index, rcx digits (a multiple of ten), r8 entries
#   ymm0 to 9    digits of out
#   ymm10, 11    what a lane keeps of a digit
#   ymm12        lanes that keep the entry
#   ymm13        1
#   ymm14        index
#   ymm15        the entry's number
#   rax          bytes of an entry
#   r9, r10      the next entry, and how many are left

.macro KEEP_DIGIT i, t
    vpand ymm\t, ymm12, [r9 + 32*\i]
    vpor ymm\i, ymm\i, ymm\t
.endm

FUNCTION avxifma_select
    vmovdqu ymm14, [rdx]
    mov eax, 1
    vmovq xmm13, rax
    vpbroadcastq ymm13, xmm13
    mov rax, rcx
    shl rax, 5
2:
    .set .Ldigit, 0
    .rept 10
        ZERO %(.Ldigit)
        .set .Ldigit, .Ldigit + 1
    .endr
    ZERO 15
    mov r9, rsi
    mov r10, r8
3:
    vpcmpeqq ymm12, ymm14, ymm15
    .set .Ldigit, 0
    .rept 10
        KEEP_DIGIT %(.Ldigit), %(10 + (.Ldigit & 1))
        .set .Ldigit, .Ldigit + 1
    .endr
    vpaddq ymm15, ymm15, ymm13
    add r9, rax
    dec r10
    jnz 3b
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

.purgem KEEP_DIGIT
