//! How assembly files become part of the crate.

/// Assembles files of `asm/`, between the directives of the target's object format.
macro_rules! assembly {
    ($($part:expr),+ $(,)?) => {
        #[cfg(not(any(target_vendor = "apple", windows)))]
        std::arch::global_asm!(
            include_str!("../../asm/target_elf.inc"), $($part,)+ include_str!("../../asm/target_end.inc"),
            options(raw)
        );
        #[cfg(target_vendor = "apple")]
        std::arch::global_asm!(
            include_str!("../../asm/target_macho.inc"), $($part,)+ include_str!("../../asm/target_end.inc"),
            options(raw)
        );
        #[cfg(windows)]
        std::arch::global_asm!(
            include_str!("../../asm/target_coff.inc"), $($part,)+ include_str!("../../asm/target_end.inc"),
            options(raw)
        );
    };
}

pub(super) use assembly;
