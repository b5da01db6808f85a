//! How long, how many, how often.

use std::time::Duration;

/// What a [`Key`](super::Key) allows each of its signers.
///
/// ```
/// use rustls_multibuffer::offload::Policy;
/// use std::time::Duration;
///
/// let policy = Policy::default().timeout(Duration::from_millis(200)).max_in_flight(16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) queue: usize,
    pub(super) breaker_failures: u32,
    pub(super) breaker_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            max_in_flight: 64,
            queue: 256,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(5),
        }
    }
}

/// Defines a setter for each named field.
macro_rules! setters {
    ($($(#[$doc:meta])+ $field:ident: $type:ty,)+) => {
        impl Policy {
            $(
                $(#[$doc])+
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

setters! {
    /// How long a signer may take for a signature; a place is waited for as long at most. Default: 1 s. Let
    /// it be well below the handshake's own limit, so that there is time to ask another signer. What is given
    /// up before this time does not count as a failure of the signer.
    timeout: Duration,
    /// The most signatures that are with a signer at a time. At least 1; default: 64.
    max_in_flight: usize,
    /// The most that wait for a place with a signer; one more is refused at once. Default: 256.
    queue: usize,
    /// After so many failures in a row the breaker opens: the signer is not asked any more. Failures are
    /// errors, timeouts, panics and wrong signatures. At least 1; default: 5.
    breaker_failures: u32,
    /// How long the breaker stays open. Then a single signature is tried, which closes it or opens it again.
    /// Default: 5 s.
    breaker_pause: Duration,
}
