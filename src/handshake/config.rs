//! The settings of an engine.

use crate::arch::TierKind;
use crate::batch::Policy;
use std::time::Duration;

/// The settings of an [`Engine`](super::Engine), a [`LocalEngine`](super::LocalEngine) or a
/// [`Batcher`](super::Batcher).
///
/// ```
/// use rustls_multibuffer::TierKind;
/// use rustls_multibuffer::handshake::EngineConfig;
/// use std::time::Duration;
///
/// let config = EngineConfig::default()
///     .max_tier(TierKind::Avx2Fma)
///     .threads(2)
///     .poll_delay(Duration::from_micros(50))
///     .handshake_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    pub(crate) max_tier: TierKind,
    pub(crate) threads: usize,
    pub(crate) pin: bool,
    pub(crate) poll_delay: Duration,
    pub(super) max_wait: Duration,
    pub(crate) latency_budget: Duration,
    pub(crate) break_even: Option<usize>,
    pub(crate) max_parked: usize,
    pub(super) max_in_flight: usize,
    pub(super) queue_bound: usize,
    pub(super) handshake_timeout: Option<Duration>,
    pub(super) stack_size: usize,
    pub(super) gather: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_tier: TierKind::Avx512Ifma,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            pin: false,
            poll_delay: Duration::ZERO,
            max_wait: Policy::default().max_wait,
            latency_budget: Duration::from_millis(1),
            break_even: None,
            max_parked: 256,
            max_in_flight: 16_384,
            queue_bound: Policy::default().bound,
            handshake_timeout: Some(Duration::from_secs(10)),
            stack_size: 256 * 1024,
            gather: 1,
        }
    }
}

/// Defines a setter for each named field.
macro_rules! setters {
    ($($(#[$doc:meta])+ $field:ident: $type:ty,)+) => {
        impl EngineConfig {
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
    /// The best CPU tier to use; default: whatever the machine has.
    max_tier: TierKind,
    /// Threads of an [`Engine`](super::Engine), at least 1; default: one for each available CPU. A
    /// [`LocalEngine`](super::LocalEngine) has none.
    threads: usize,
    /// Whether each thread of an [`Engine`](super::Engine) is bound to a CPU: one that the fewest pinned
    /// threads of the process have. Default: no.
    pin: bool,
    /// How long an operation waits for company although the thread is idle; default: zero, it does not wait.
    poll_delay: Duration,
    /// How long an operation waits, with a zero `poll_delay`, on a thread that is never idle; default: 10 ms.
    max_wait: Duration,
    /// How much later a handshake on an [`Engine`](super::Engine) may end so that it meets others; default: 1
    /// ms. It goes to the first thread that is expected to delay it by no more, and the next thread is used
    /// only beyond that: operations share lanes only on one thread. With zero, and as long as there would be
    /// next to nothing to gain, as with P-256 alone, it goes to the thread with the fewest handshakes.
    ///
    /// By simulation, 16 threads at a quarter of their load spend a fifth less CPU on handshakes with
    /// RSA-2048, whose median latency grows by 0.5 ms: `benches/record/packing.tsv`. 4 ms save twice as much
    /// at five times the price.
    latency_budget: Duration,
    /// The most fibers a thread has at a time; handshakes beyond it wait in order. At least 1; default: 256.
    max_parked: usize,
    /// The most handshakes in flight in the whole engine, including those that wait for the network; more
    /// wait in order before they read or write anything. At least 1; default: 16384.
    max_in_flight: usize,
    /// The most operations that wait for a batch on a thread; one more is done by aws-lc-rs at once. Default:
    /// 1024, which `max_parked` keeps out of reach.
    queue_bound: usize,
    /// Usable bytes of a fiber's stack, rounded up to 64 KiB; default: 256 KiB. A handshake uses about 30
    /// KiB, with an ML-DSA-87 certificate 140 KiB; certificate resolvers and verifiers of the rustls
    /// configuration run on it too. Only what is used is committed; 256 KiB of addresses below each stack
    /// stay empty, so that exceeding it ends the process, as it does on any thread.
    stack_size: usize,
}

impl EngineConfig {
    /// The longest that a handshake may take, from the call of `accept` or `connect`; default: 10 s. `None`:
    /// no limit.
    #[must_use]
    pub fn handshake_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.handshake_timeout = limit.into();
        self
    }

    /// The smallest fill that runs in lanes, whatever the operation; a full batch always does. Default:
    /// `None`, for each operation what the engine measures on its own batches. Until it has seen a few, a
    /// table of measured fills decides, and the first batches that are not full go to aws-lc-rs. Whichever
    /// way is not taken is tried again from time to time, for at most a part in 128 of what batches cost.
    /// [`EngineStats::break_even`](super::EngineStats::break_even) has what was found.
    #[must_use]
    pub fn break_even(mut self, fill: impl Into<Option<usize>>) -> Self {
        self.break_even = fill.into();
        self
    }

    /// Lets batches gather at least `requests` even where the tier has fewer lanes, so that tests of
    /// gathering mean the same on every machine. It costs latency and gains nothing: not for production.
    #[doc(hidden)]
    #[must_use]
    pub fn gather(mut self, requests: usize) -> Self {
        self.gather = requests;
        self
    }
}
