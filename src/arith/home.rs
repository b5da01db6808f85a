//! Where the tables of fixed points live: each is made once a process, when a runner for its tier is made
//! first.

use std::sync::OnceLock;

/// The place of the table `T` for the tier `Self`.
pub(crate) trait Home<T: 'static> {
    /// The place; empty until somebody makes the table.
    fn home() -> &'static OnceLock<T>;
}

/// Gives every tier a place for the table that is named, whose vectors are called `V`.
macro_rules! homes {
    (V => $table:ty) => {
        const _: () = {
            use $crate::arch::lanes::{Vec4, Vec8};
            type Table<V> = $table;
    $crate::arith::home::homes!($crate::arch::Portable: Table<Vec4>);
    $crate::arith::home::homes!($crate::arch::Avx2Fma: Table<Vec4>);
    $crate::arith::home::homes!($crate::arch::AvxIfma: Table<Vec4>);
    $crate::arith::home::homes!($crate::arch::Avx512Ifma: Table<Vec8>);
            #[cfg(all(test, lanes))]
    $crate::arith::home::homes!($crate::arch::PlainIfma: Table<Vec4>);
        };
    };
    ($tier:ty: $table:ty) => {
        impl $crate::arith::home::Home<$table> for $tier {
            fn home() -> &'static std::sync::OnceLock<$table> {
                static HOME: std::sync::OnceLock<$table> = std::sync::OnceLock::new();
                &HOME
            }
        }
    };
}
pub(crate) use homes;
