# acc = acc^2 / R mod n in 4 lanes. Arguments, precondition and result as in avx2fma_mont_mul.S with b = acc;
# rsi is not read.
#
# A product of two different digits occurs twice, so one factor is taken from A2 = 2 acc and each pair once. A
# pass over doubled rows weighs twice as much in the budget of H. Where a group's rows reach the diagonal, the
# diagonal routines of avx2fma_columns.S take the pairs i <= j that are left.
.p2align 6
FUNCTION avx2fma_mont_sqr
    MBF_PROLOGUE
    # A2 = 2 acc, after M: the rows, r12; acc is the other operand, r13.
    mov r13, r12
    lea rsi, [r14 + 2*r14]
    lea r12, [r10 + rsi + MBF_D + 32]
    mov rsi, r13
    mov rdx, r12
    mov ecx, [r11 + MBF_TURNS]
31:
    .irp t, 0,1,2,3,4,5,6
    vmovapd ymm\t, [rsi + 32*\t]
    vaddpd ymm\t, ymm\t, ymm\t
    vmovapd [rdx + 32*\t], ymm\t
    .endr
    add rsi, 224
    add rdx, 224
    dec ecx
    jnz 31b
    lea r8, [r13 + r14]
    jmp 34f
33:
    vmovapd ymm0, [rsi]
    vaddpd ymm0, ymm0, ymm0
    vmovapd [rdx], ymm0
    add rsi, 32
    add rdx, 32
34:
    cmp rsi, r8
    jne 33b
    # The lower half of T = acc^2.
    mov r9d, r15d
    shl r9d, 5
    lea r9, [r11 + r9 + MBF_SCHEDULE]
32:
    CALL mbf_init
    mov rsi, r12
    mov rdx, r13
    CALL mbf_group
    CALL mbf_finish
    add r9, MBF_ENTRY
    dec r15d
    jnz 32b
    CALL mbf_upper_half
    MBF_EPILOGUE
END avx2fma_mont_sqr
