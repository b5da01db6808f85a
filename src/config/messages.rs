//! Messages as they are written, before they are checked.

/// Derives what every message has: its fields may be left out, and its comments become the table of fields
/// and, under the name after `as`, the JSON schema.
macro_rules! messages {
    ($($(#[$meta:meta])* struct $name:ident as $message:literal {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$meta])*
            #[derive(Default, serde::Deserialize)]
            #[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = $message))]
            #[serde(default)]
            pub(in crate::config) struct $name {
                $($(#[$field_meta])* pub(super) $field: $type,)*
            }
        )*
    };
}

pub(super) use messages;
