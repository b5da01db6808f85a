//! How assembly files become functions of the crate.

/// The text of a file of `asm/`, wherever the macro is used.
#[cfg(target_arch = "x86_64")]
macro_rules! source {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/asm/", $name))
    };
}

/// Assembles files of `asm/`, between the directives of the target's object format.
#[cfg(target_arch = "x86_64")]
macro_rules! assembly {
    ($($part:expr),+ $(,)?) => {
        #[cfg(not(any(target_vendor = "apple", windows)))]
        std::arch::global_asm!(
            $crate::arch::asm::source!("target_elf.inc"), $($part,)+ $crate::arch::asm::source!("target_end.inc"),
            options(raw)
        );
        #[cfg(target_vendor = "apple")]
        std::arch::global_asm!(
            $crate::arch::asm::source!("target_macho.inc"), $($part,)+ $crate::arch::asm::source!("target_end.inc"),
            options(raw)
        );
        #[cfg(windows)]
        std::arch::global_asm!(
            $crate::arch::asm::source!("target_coff.inc"), $($part,)+ $crate::arch::asm::source!("target_end.inc"),
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
#[cfg(target_arch = "x86_64")]
pub(super) use source;
