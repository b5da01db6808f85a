//! What a key agreement gives.

use crate::arch::Secret;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The shared secret of a key agreement: wiped when its last owner drops it, never printed. Cloning shares
/// it.
#[derive(Clone)]
pub struct SharedSecret(Arc<Secret<u8>>);

impl SharedSecret {
    /// A copy of `bytes`. The caller's copy stays the caller's to wipe.
    pub(crate) fn copied_from(bytes: &[u8]) -> Self {
        Self(Arc::new(Secret::copied_from(bytes)))
    }

    /// The secret, in the form that TLS derives keys from.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl PartialEq for SharedSecret {
    /// Constant-time for secrets of one length.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SharedSecret {}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
