//! The lanes of a tier: for each family of operations that share kernels, a runner with their workspace.

mod curve25519;
mod nist;
mod rsa;

use super::timings::Fills;
use super::{Counters, Request, Response};
use crate::arch::Tier;
use crate::arch::lanes::MontLanes;
use crate::arch::mxcsr::in_default_environment;
use crate::arch::prime::{P256, P384};
use crate::arith::weierstrass;
use crate::error::Error;
use curve25519::Curve25519Lanes;
use nist::NistLanes;
use rsa::RsaLanes;
use std::fmt;

/// The kernels of some tier with their workspace.
pub(super) trait LaneRunner: fmt::Debug {
    /// Drops what is prepared for peers' keys, if anything is.
    fn forget_public_keys(&mut self) {}
    /// Takes note that aws-lc-rs has found the signature of `request` to be valid, if it has one.
    fn verified(&mut self, _request: &Request) {}
    /// Runs a batch. If a part of it has to run by itself, `fills` says whether that is worth its lanes.
    fn run(
        &mut self,
        requests: &[&Request],
        fills: Fills,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    );
}

/// The lanes of a tier, by [`Family`](super::op::Family), unless it has none. The first ones in a process
/// make the tables of the curves' base points.
pub(super) fn of_tier(tier: Tier) -> Option<[Box<dyn LaneRunner>; 4]> {
    in_default_environment(|| match tier {
        #[cfg(lanes)]
        Tier::Avx512Ifma(kernel) => Some(of_kernel(kernel)),
        #[cfg(lanes)]
        Tier::AvxIfma(kernel) => Some(of_kernel(kernel)),
        #[cfg(lanes)]
        Tier::Avx2Fma(kernel) => Some(of_kernel(kernel)),
        #[cfg(not(lanes))]
        Tier::Avx512Ifma(_) | Tier::AvxIfma(_) | Tier::Avx2Fma(_) => {
            unreachable!("no tier with kernels is ever detected off x86-64")
        }
        Tier::Portable(kernel) => Some(of_kernel(kernel)),
        Tier::Scalar => None,
    })
}

fn of_kernel<K>(kernel: K) -> [Box<dyn LaneRunner>; 4]
where
    K: MontLanes + crate::arith::curve25519::Kernel + weierstrass::Kernel<P256> + weierstrass::Kernel<P384>,
{
    [
        Box::new(RsaLanes::new(kernel)),
        Box::new(Curve25519Lanes::new(kernel)),
        Box::new(NistLanes::<4, P256, K>::new(kernel)),
        Box::new(NistLanes::<6, P384, K>::new(kernel)),
    ]
}

/// What is inside the requests of a batch, which are all of one kind.
macro_rules! of_kind {
    ($requests:expr, $kind:ident) => {{
        let inside = $requests.iter().map(|request| match request {
            Request::$kind(request) => request,
            other => unreachable!("{:?} in a batch of another kind", other.op()),
        });
        inside.collect::<Vec<_>>()
    }};
}
use of_kind;
