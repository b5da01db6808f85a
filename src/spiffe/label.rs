//! Labels of metrics: what there is to say of a value, and everything that may be said of its type.

/// Gives a type `as_label`, and `labels`, which cannot forget one. A variant that says what another type says
/// has that type's labels.
macro_rules! labels {
    ($type:ident $(with $variant:ident($inner:ty))?, $($pattern:pat => $label:literal,)*) => {
        impl $type {
            /// Every label that `as_label` may give.
            pub fn labels() -> impl Iterator<Item = &'static str> {
                let own = [$($label),*].into_iter();
                $(let own = own.chain(<$inner>::labels());)?
                own
            }

            /// The reason as a metric label.
            pub fn as_label(&self) -> &'static str {
                match self {
                    $($pattern => $label,)*
                    $(Self::$variant(inner) => inner.as_label(),)?
                }
            }
        }
    };
}

pub(super) use labels;
