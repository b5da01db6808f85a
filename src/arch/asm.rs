//! How assembly files become functions of the crate.

/// Assembles files of `asm/`, between the directives of the target's object format.
#[cfg(target_arch = "x86_64")]
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

/// Declares assembly functions, each with its symbol. They use the System V calling convention everywhere.
///
/// Off x86-64 the functions exist, so that the code that calls them compiles, but nothing can call them: that
/// takes a tier's token, and detection gives none.
macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $symbol:literal;)*) => {
        #[cfg(target_arch = "x86_64")]
        unsafe extern "sysv64" {
            $($(#[$doc])* #[link_name = $symbol] pub(super) fn $name($($argument: $type),*);)*
        }
        $(
            $(#[$doc])*
            #[cfg(not(target_arch = "x86_64"))]
            pub(super) unsafe fn $name($(_: $type),*) {
                unreachable!("no tier with kernels is ever detected off x86-64")
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use assembly;
pub(super) use kernels;
