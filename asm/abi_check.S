# Calls a function with six arguments and reports what it did to the registers that it must preserve. For tests.
#
# rdi function, rsi its arguments, rdx report (ten words):
#   0 to 5   rbx, rbp, r12 to r15 afterwards; before, they hold the words that the report comes with
#   6, 7     rsp before and after
#   8        flags after
#   9        all ones if the upper half of one of ymm0 to ymm15 is not zero afterwards; before, all are all ones

FUNCTION abi_check
    SAVE rbx
    SAVE rbp
    SAVE r12
    SAVE r13
    SAVE r14
    SAVE r15
    SAVE rdx
    .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vpcmpeqd ymm\i, ymm\i, ymm\i
    .endr
    mov [rdx + 48], rsp
    mov rbx, [rdx]
    mov rbp, [rdx + 8]
    mov r12, [rdx + 16]
    mov r13, [rdx + 24]
    mov r14, [rdx + 32]
    mov r15, [rdx + 40]
    mov rax, rdi
    mov r11, rsi
    mov rdi, [r11]
    mov rsi, [r11 + 8]
    mov rdx, [r11 + 16]
    mov rcx, [r11 + 24]
    mov r8, [r11 + 32]
    mov r9, [r11 + 40]
    call rax
    mov rdx, [rsp]
    mov [rdx], rbx
    mov [rdx + 8], rbp
    mov [rdx + 16], r12
    mov [rdx + 24], r13
    mov [rdx + 32], r14
    mov [rdx + 40], r15
    mov [rdx + 56], rsp
    pushfq
    pop qword ptr [rdx + 64]
    cld
    vextracti128 xmm0, ymm0, 1
    .irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vextracti128 xmm\i, ymm\i, 1
        vpor xmm0, xmm0, xmm\i
    .endr
    xor eax, eax
    vptest xmm0, xmm0
    setz al
    dec rax
    mov [rdx + 72], rax
    vzeroupper
    RESTORE rdx
    RESTORE r15
    RESTORE r14
    RESTORE r13
    RESTORE r12
    RESTORE rbp
    RESTORE rbx
    ret
END abi_check

# Breaks every rule that abi_check looks at, except rsp's.
FUNCTION abi_breaker
    xor ebx, ebx
    xor ebp, ebp
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    std
    ret
END abi_breaker
