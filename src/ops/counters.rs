//! What a runner counts.

/// How requests were answered. A whole key exchange counts as two: for its key pair and for its agreement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests answered from lanes.
    pub in_lanes: u64,
    /// Requests answered by aws-lc-rs because their batch was below the break-even fill, or because the tier
    /// has no kernel for them.
    pub scalar: u64,
    /// Requests whose lane failed the public-key check, or whose batch panicked, and that were recomputed
    /// by aws-lc-rs.
    pub redone: u64,
    /// Batches that panicked. Each is a bug of this crate.
    pub panicked: u64,
}
