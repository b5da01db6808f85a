//! Signatures for `ops::traces`: with the nonces' additional input fixed, because what they are is public,
//! and so is the length of their encoding, on which the trace of encoding them depends.

use super::sign::sign_with;
use super::{EcdsaPrivateKey, SignRequest};
use crate::arch::prime::{P256, P384};
use crate::arch::{Portable, Tier};
use crate::arith::weierstrass::{Kernel, Lanes};
use crate::ops::Counters;
use crate::ops::nist::ServedCurve;
use crate::ops::traces::{secret_bytes, split_label, traced};

/// Messages tried for each lane. One in four has numbers without a leading zero byte and without need for
/// one.
const TRIES: usize = 64;

/// Signs with both curves.
pub(in crate::ops) fn signatures(tier: Tier) {
    match tier {
        Tier::Avx512Ifma(kernel) => both(kernel),
        Tier::AvxIfma(kernel) => both(kernel),
        Tier::Avx2Fma(kernel) => both(kernel),
        Tier::Portable(kernel) => both(kernel),
        Tier::Scalar => {
            let Tier::Portable(kernel) = Tier::portable() else { unreachable!("a portable tier") };
            both::<Portable>(kernel);
        }
    }
}

fn both<K: Kernel<P256> + Kernel<P384>>(kernel: K) {
    sign::<4, P256, K>(kernel);
    sign::<6, P384, K>(kernel);
}

fn sign<const N: usize, C: ServedCurve<N>, K: Kernel<C>>(kernel: K) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let mut counters = Counters::default();
    let key = |lane| EcdsaPrivateKey::new(C::NAME, &secret_bytes(C::NAME.scalar_len(), lane), None);
    let keys: Vec<_> = (0..K::LANES).map(|lane| key(lane).expect("a scalar")).collect();
    let request = |lane: usize, message: usize| SignRequest::new(&keys[lane], &message.to_be_bytes());
    let additional = vec![&[0; 32][..]; K::LANES];
    let mut chosen = vec![None; K::LANES];
    for message in 0..TRIES {
        let requests: Vec<_> = (0..K::LANES).map(|lane| request(lane, message)).collect();
        let signatures =
            sign_with(&mut lanes, &requests.iter().collect::<Vec<_>>(), &additional, &mut counters);
        for (chosen, signature) in chosen.iter_mut().zip(signatures) {
            if has_usual_length(&signature.expect("a signature"), C::NAME.scalar_len()) {
                *chosen = Some(message);
            }
        }
    }
    let chosen = chosen.iter().map(|message| message.expect("one in 64"));
    let requests: Vec<_> = chosen.enumerate().map(|(lane, message)| request(lane, message)).collect();
    let requests: Vec<_> = requests.iter().collect();
    let op = requests[0].op();
    let full = (op.name().to_owned(), K::LANES);
    let split = [2, K::LANES].map(|parts| (split_label(op, parts), K::LANES / parts));
    for (label, fill) in [full].into_iter().chain(split) {
        traced(&label, || {
            let signatures = sign_with(&mut lanes, &requests[..fill], &additional[..fill], &mut counters);
            assert!(signatures.iter().all(Result::is_ok));
            lanes.wipe();
        });
    }
    assert_eq!(counters.redone, 0);
}

/// Whether both numbers of a DER encoding have as many bytes as a scalar.
fn has_usual_length(der: &[u8], len: usize) -> bool {
    der[3] as usize == len && der[5 + len] as usize == len
}
