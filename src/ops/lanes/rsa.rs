//! The lanes that RSA keys are used in.

use super::{LaneRunner, of_kind};
use crate::arch::lanes::MontLanes;
use crate::error::Error;
use crate::ops::timings::Fills;
use crate::ops::{Counters, Request, Response, rsa, scalar};

#[derive(Debug)]
pub(super) struct RsaLanes<K: MontLanes> {
    kernel: K,
    rsa: rsa::Workspace<K>,
    public_keys: rsa::PublicKeys,
}

impl<K: MontLanes> RsaLanes<K> {
    pub(super) fn new(kernel: K) -> Self {
        const { assert!(K::LANES == K::KIND.lanes()) };
        Self { kernel, rsa: rsa::Workspace::new(), public_keys: rsa::PublicKeys::default() }
    }
}

impl<K: MontLanes> LaneRunner for RsaLanes<K> {
    fn forget_public_keys(&mut self) {
        self.public_keys.clear();
    }

    fn run(
        &mut self,
        requests: &[&Request],
        fills: Fills,
        counters: &mut Counters,
        results: &mut Vec<Result<Response, Error>>,
    ) {
        let Self { kernel, rsa: workspace, public_keys } = self;
        match requests {
            [] => {}
            [Request::RsaSign(_), ..] => {
                let requests = of_kind!(requests, RsaSign);
                let signatures =
                    rsa::sign_batch(*kernel, workspace, &mut scalar::random, &requests, counters);
                results.extend(signatures.into_iter().map(|s| s.map(Response::Signature)));
            }
            [Request::RsaVerify(_), ..] => {
                let requests = of_kind!(requests, RsaVerify);
                let verdicts = rsa::verify_batch(*kernel, workspace, public_keys, &requests, fills, counters);
                results.extend(verdicts.into_iter().map(|v| v.map(|()| Response::Verified)));
            }
            [_, ..] => unreachable!("the other operations have lanes of their own"),
        }
    }
}
