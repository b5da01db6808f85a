# Calls a function with seven arguments and reports what it did to the state that it must preserve. For tests.
#
# rdi function, rsi its arguments, rdx report (sixteen words), rcx a multiple of 16 by which to lower the
# stack first
#   0 to 5   rbx, rbp, r12 to r15 afterwards; before, they hold the words that the report comes with
#   6, 7     rsp before and after
#   8        flags after
#   9        all ones if the upper half of one of ymm0 to ymm15 is not zero afterwards; before, all are
#            all ones
#   10       MXCSR before, and after in the upper half
#   11       how many words of the caller's frame next to the return address and the seventh argument are
#            not what they were
#   12 to 15 the x87 environment afterwards (28 bytes): the control word in 0 to 1, the tags in 8 to 9
#
# The frame, from rsp up: the seventh argument, 7 words that nobody may change, the report's address, rcx,
# what was saved.

FUNCTION abi_check
    SAVE rbx
    SAVE rbp
    SAVE r12
    SAVE r13
    SAVE r14
    SAVE r15
    SAVE rdx
    sub rsp, rcx
    sub rsp, 80
    mov [rsp + 64], rdx
    mov [rsp + 72], rcx
    .irp i, 1, 2, 3, 4, 5, 6, 7
        mov qword ptr [rsp + 8 * \i], 0x5ca1ab1e
    .endr
    mov rax, [rsi + 48]
    mov [rsp], rax
    .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vpcmpeqd ymm\i, ymm\i, ymm\i
    .endr
    mov [rdx + 48], rsp
    stmxcsr [rdx + 80]
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
    mov rdx, [rsp + 64]
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
    stmxcsr [rdx + 84]
    ldmxcsr [rdx + 80]
    fnstenv [rdx + 96]
    fninit
    xor ecx, ecx
    .irp i, 1, 2, 3, 4, 5, 6, 7
        xor eax, eax
        cmp qword ptr [rsp + 8 * \i], 0x5ca1ab1e
        setne al
        add rcx, rax
    .endr
    mov [rdx + 88], rcx
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
    mov rcx, [rsp + 72]
    add rsp, 80
    add rsp, rcx
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
    # Rounds towards zero; 53 bits of precision for the x87, whose registers MMX then takes.
    mov dword ptr [rsp - 8], 0x7f80
    ldmxcsr [rsp - 8]
    mov word ptr [rsp - 8], 0x027f
    fldcw [rsp - 8]
    pxor mm0, mm0
    mov qword ptr [rsp + 16], 0
    ret
END abi_breaker

# Takes the stack to be aligned to 64 bytes, which nobody promises.
FUNCTION abi_misaligner
    vmovdqa [rsp - 72], ymm0
    vmovdqa [rsp - 40], ymm0
    vzeroupper
    ret
END abi_misaligner
