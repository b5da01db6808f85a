//! Labels of metrics: what there is to say of a value, and everything that may be said of its type.

/// Gives a type `as_label`, and `LABELS`, which cannot forget one.
macro_rules! labels {
    ($type:ident, $($pattern:pat => $label:literal,)+) => {
        impl $type {
            /// Every label.
            pub const LABELS: &'static [&'static str] = &[$($label),+];

            /// The reason as a metric label.
            pub fn as_label(&self) -> &'static str {
                match self {
                    $($pattern => $label,)+
                }
            }
        }
    };
}

pub(super) use labels;
