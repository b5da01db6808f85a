//! Signatures as `ECDSA-Sig-Value` (RFC 3279 §2.2.3), DER, which is what TLS and certificates carry.

use crate::arith::limbs;
use crate::ops::kinds::NistCurve;
use crate::ops::nist::MAX_LIMBS;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{self, Decode, Encode, Reader, SliceReader};

/// (r, s), each below 2^(8·len) for the curve's length.
type Pair = [[u64; MAX_LIMBS]; 2];

/// The DER encoding of (r, s): at most 72 bytes for P-256, 104 for P-384.
pub(super) fn encode(curve: NistCurve, [r, s]: &Pair) -> Vec<u8> {
    let [r, s] = [r, s].map(|number| curve.bytes(number));
    let numbers = [&r, &s].map(|bytes| UintRef::new(bytes).expect("a short number"));
    let mut out = Vec::with_capacity(2 * curve.scalar_len() + 8);
    // SEQUENCE, and a length that is put in at the end: below 128, so one byte.
    out.extend([0x30, 0]);
    for number in numbers {
        number.encode_to_vec(&mut out).expect("a vector has room");
    }
    out[1] = (out.len() - 2) as u8;
    out
}

/// The numbers of a DER encoding that fit the curve's length; strict: nothing else is a signature.
pub(super) fn decode(curve: NistCurve, der: &[u8]) -> Option<Pair> {
    let mut reader = SliceReader::new(der).ok()?;
    let number = |reader: &mut der::NestedReader<'_, SliceReader<'_>>| -> der::Result<[u64; MAX_LIMBS]> {
        let number = UintRef::decode(reader)?;
        let mut out = [0; MAX_LIMBS];
        match number.as_bytes().len() <= curve.scalar_len() {
            true => limbs::from_be_bytes(&mut out, number.as_bytes()),
            false => return Err(der::Tag::Integer.length_error()),
        }
        Ok(out)
    };
    let pair = reader.sequence(|inner| Ok([number(inner)?, number(inner)?])).ok()?;
    reader.finish(pair).ok()
}
