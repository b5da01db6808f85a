//! Verification of a batch of ECDSA signatures.

use super::encode::decode;
use super::known::{self, Known, Size};
use crate::arch::prime::PrimeLanes;
use crate::arith::limbs::is_zero;
use crate::arith::modular::is_unit;
use crate::arith::weierstrass::{Lanes, PublicTable, Scalars};
use crate::error::Error;
use crate::ops::kinds::{Hash, MAX_HASH_LEN, NistCurve};
use crate::ops::nist::{Point, ServedCurve, narrow};
use crate::ops::scalar;
use crate::ops::{Counters, Op};
use std::sync::Arc;

/// What lanes need of a public key.
#[derive(Clone)]
enum Key {
    /// A key that was seen often has a table.
    Known(Arc<Known>),
    Point(Point),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Known(_)) { "Known" } else { "Point" })
    }
}

/// A signature to be verified with one public key in some batch.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    curve: NistCurve,
    hash: Hash,
    public_key: Box<[u8]>,
    key: Key,
    pub(super) m_hash: [u8; MAX_HASH_LEN],
    signature: Box<[u8]>,
}

impl VerifyRequest {
    /// A request to verify that `signature`, an `ECDSA-Sig-Value` (RFC 3279 §2.2.3) in DER, is one of
    /// `message` by `public_key`, the encoding of a point that the bit string of a certificate's
    /// `SubjectPublicKeyInfo` holds.
    ///
    /// `None` for a key that lanes do not serve: whatever is not the uncompressed encoding of a point of the
    /// curve. aws-lc-rs knows what to make of these.
    pub fn new(
        curve: NistCurve,
        hash: Hash,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Option<Self> {
        let key = match known::prepared(curve, public_key) {
            Some(known) => Key::Known(known),
            None => Key::Point(curve.decode(public_key)?),
        };
        // Hashed here, the message need not be kept.
        let mut m_hash = [0; MAX_HASH_LEN];
        scalar::digest(hash, message, &mut m_hash[..hash.len()]);
        Some(Self { curve, hash, public_key: public_key.into(), key, m_hash, signature: signature.into() })
    }

    /// The queue that this request belongs to. Keys that were seen often have one of their own, because they
    /// take another way through the lanes.
    pub fn op(&self) -> Op {
        match (self.curve, &self.key) {
            (NistCurve::P256, Key::Point(_)) => Op::P256Verify,
            (NistCurve::P256, Key::Known(_)) => Op::P256VerifyKnown,
            (NistCurve::P384, Key::Point(_)) => Op::P384Verify,
            (NistCurve::P384, Key::Known(_)) => Op::P384VerifyKnown,
        }
    }

    fn point(&self) -> Point {
        match &self.key {
            Key::Point(point) => *point,
            Key::Known(_) => self.curve.decode(&self.public_key).expect("it was decoded when it was counted"),
        }
    }

    fn m_hash(&self) -> &[u8] {
        &self.m_hash[..self.hash.len()]
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<(), Error> {
        scalar::verify_ecdsa((self.curve, self.hash), &self.public_key, self.m_hash(), &self.signature)
    }
}

/// Verifies at once, on the calling thread, through aws-lc-rs; public keys may have any encoding that it
/// reads.
///
/// # Errors
/// [`Error::InvalidSignature`] when the signature is not valid, or when aws-lc-rs does not accept the key.
pub fn verify(
    curve: NistCurve,
    hash: Hash,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let mut m_hash = [0; MAX_HASH_LEN];
    scalar::digest(hash, message, &mut m_hash[..hash.len()]);
    scalar::verify_ecdsa((curve, hash), public_key, &m_hash[..hash.len()], signature)
}

/// A request on its way through the lanes.
struct Work<'a, const N: usize> {
    request: &'a VerifyRequest,
    verdict: &'a mut Result<(), Error>,
    r: [u64; N],
    z: [u64; N],
    /// s, then its inverse, in Montgomery form.
    s: [u64; N],
}

/// Verifies `requests`, at most as many as there are lanes, all of one curve, with a verdict for each.
pub(in crate::ops) fn verify_batch<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    requests: &[&VerifyRequest],
    counters: &mut Counters,
) -> Vec<Result<(), Error>> {
    let mut verdicts = vec![Err(Error::InvalidSignature); requests.len()];
    counters.in_lanes += requests.len() as u64;
    let work = requests.iter().zip(&mut verdicts);
    let mut work: Vec<_> =
        work.filter_map(|(request, verdict)| prepare::<N, C>(request, verdict, counters)).collect();
    if work.is_empty() {
        return verdicts;
    }
    let mut inverses: Vec<_> = work.iter().map(|w| w.s).collect();
    C::ORDER.invert_all(&mut inverses);
    let scalars = work.iter().zip(&inverses).map(|(work, inverse)| Scalars {
        // FIPS 186-5 §6.4.2, step 5: u₁ = z·s⁻¹, u₂ = r·s⁻¹ mod n.
        u1: C::ORDER.mul(inverse, &work.z),
        u2: C::ORDER.mul(inverse, &work.r),
        r: work.r,
    });
    let scalars: Vec<_> = scalars.collect();
    let valid = check(lanes, &work, &scalars);
    for (work, valid) in work.iter_mut().zip(valid) {
        *work.verdict = match valid {
            Some(true) => {
                count(lanes, work.request);
                Ok(())
            }
            Some(false) => Err(Error::InvalidSignature),
            // An exceptional sum: only who knows the private key can bring it about, as often as he likes.
            None => redo(work.request, counters),
        };
    }
    verdicts
}

/// By the tables of the keys, if this tier has made all of them, else by the points.
fn check<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    work: &[Work<'_, N>],
    scalars: &[Scalars<N>],
) -> Vec<Option<bool>> {
    let tables = work.iter().map(|w| match &w.request.key {
        Key::Known(known) => known.table::<PublicTable<C, K>>(),
        Key::Point(_) => None,
    });
    match tables.collect::<Option<Vec<_>>>() {
        Some(tables) => check_prepared(lanes, scalars, &tables),
        None => {
            let points: Vec<_> = work.iter().map(|w| w.request.point().affine()).collect();
            lanes.check(scalars, &points)
        }
    }
}

/// Lanes can share a batch if their tables have the same size.
fn check_prepared<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    scalars: &[Scalars<N>],
    tables: &[Arc<PublicTable<C, K>>],
) -> Vec<Option<bool>> {
    let mut verdicts = vec![None; scalars.len()];
    for is_large in [false, true] {
        let places: Vec<_> = (0..tables.len()).filter(|i| tables[*i].is_large() == is_large).collect();
        if places.is_empty() {
            continue;
        }
        let (scalars, tables): (Vec<_>, Vec<_>) = places.iter().map(|i| (scalars[*i], &*tables[*i])).unzip();
        let found = lanes.check_prepared(&scalars, &tables);
        places.into_iter().zip(found).for_each(|(place, verdict)| verdicts[place] = verdict);
    }
    verdicts
}

/// Counts a valid signature towards the table of its key, which is made in `lanes` when it is due.
pub(in crate::ops) fn count<const N: usize, C: ServedCurve<N>, K: PrimeLanes<C>>(
    lanes: &mut Lanes<N, C, K>,
    request: &VerifyRequest,
) {
    known::count(C::NAME, &request.public_key, |size| {
        let point = request.point().affine();
        let table = match size {
            Size::Small => PublicTable::small(lanes, &point),
            Size::Large => PublicTable::large(lanes, &point),
        };
        let bytes = table.bytes();
        (table, bytes)
    });
}

/// No fault of a lane, so not counted as one.
fn redo(request: &VerifyRequest, counters: &mut Counters) -> Result<(), Error> {
    counters.in_lanes -= 1;
    counters.scalar += 1;
    request.run_scalar()
}

/// `None` for what is decided without a computation in lanes.
fn prepare<'a, const N: usize, C: ServedCurve<N>>(
    request: &'a VerifyRequest,
    verdict: &'a mut Result<(), Error>,
    counters: &mut Counters,
) -> Option<Work<'a, N>> {
    // FIPS 186-5 §6.4.2, step 1: 0 < r < n and 0 < s < n.
    let [r, s] = decode(C::NAME, &request.signature)?.map(|number| narrow(&number));
    if !bool::from(is_unit(&r, C::ORDER) & is_unit(&s, C::ORDER)) {
        return None;
    }
    let z = narrow(&C::NAME.hash_to_scalar(request.m_hash()));
    if bool::from(is_zero(&z)) {
        // u₁ = 0 has no multiple of the base point. Nobody finds such a message for SHA-2; test vectors have
        // hashes.
        *verdict = redo(request, counters);
        return None;
    }
    Some(Work { request, verdict, r, z, s: C::ORDER.enter(&s) })
}
