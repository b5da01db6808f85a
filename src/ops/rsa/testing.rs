//! Keys for tests, and RSA itself by the book.

use super::import::Components;
use super::{Padding, RsaPrivateKey};
use crate::arith::limbs::{add_assign_if, mul, sub_assign};
use crate::arith::mont::{mod_pow, reduce_wide};
use num_bigint::BigUint;
use pkcs1::UintRef;
use pkcs8::der::{Decode, Encode};
use subtle::Choice;

pub(crate) const PADDINGS: [Padding; 6] = [
    Padding::Pkcs1Sha256,
    Padding::Pkcs1Sha384,
    Padding::Pkcs1Sha512,
    Padding::PssSha256,
    Padding::PssSha384,
    Padding::PssSha512,
];

/// The text of a file of `vendor-test-vectors/`.
pub(crate) fn vendored(name: &str) -> Vec<u8> {
    let path = format!("{}/vendor-test-vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The key `vendor-test-vectors/rsa-keys/NAME.pem`.
pub(crate) fn key(name: &str) -> RsaPrivateKey {
    RsaPrivateKey::from_pem(&vendored(&format!("rsa-keys/{name}.pem"))).unwrap()
}

/// The numbers of an `RSAPrivateKey`, to be changed and encoded again.
#[derive(Clone)]
pub(crate) struct Numbers {
    pub(crate) n: BigUint,
    pub(crate) e: BigUint,
    pub(crate) d: BigUint,
    pub(crate) p: BigUint,
    pub(crate) q: BigUint,
    pub(crate) dp: BigUint,
    pub(crate) dq: BigUint,
    pub(crate) qinv: BigUint,
}

impl Numbers {
    /// Those of the PKCS#1 file `vendor-test-vectors/rsa-keys/NAME.pem`.
    pub(crate) fn of(name: &str) -> Self {
        let (_, der) = crate::ops::pem::read(&vendored(&format!("rsa-keys/{name}.pem"))).unwrap();
        let key = pkcs1::RsaPrivateKey::from_der(der.expose()).unwrap();
        let big = |x: UintRef<'_>| BigUint::from_bytes_be(x.as_bytes());
        Self {
            n: big(key.modulus),
            e: big(key.public_exponent),
            d: big(key.private_exponent),
            p: big(key.prime1),
            q: big(key.prime2),
            dp: big(key.exponent1),
            dq: big(key.exponent2),
            qinv: big(key.coefficient),
        }
    }

    /// The consistent key of these primes and this exponent, with d modulo φ(n).
    pub(crate) fn from_primes(p: BigUint, q: BigUint, e: BigUint) -> Self {
        let (p1, q1) = (&p - 1u8, &q - 1u8);
        let d = e.modinv(&(&p1 * &q1)).expect("e has no inverse");
        let (dp, dq, qinv) = (&d % p1, &d % q1, q.modinv(&p).expect("q has no inverse"));
        Self { n: &p * &q, e, d, p, q, dp, dq, qinv }
    }

    /// PKCS#1 DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        let fields = [&self.n, &self.e, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qinv];
        let bytes = fields.map(BigUint::to_bytes_be);
        let [n, e, d, p, q, dp, dq, qinv] = bytes.each_ref().map(|b| UintRef::new(b).unwrap());
        let key = pkcs1::RsaPrivateKey {
            modulus: n,
            public_exponent: e,
            private_exponent: d,
            prime1: p,
            prime2: q,
            exponent1: dp,
            exponent2: dq,
            coefficient: qinv,
            other_prime_infos: None,
        };
        key.to_der().unwrap()
    }
}

/// RSASP1 (RFC 8017 §5.1.2) by step 2.b, without blinding or check: what lanes and scalar are compared with.
/// `m` is below n and as long as n, and so is the result.
pub(super) fn rsasp1(key: &Components, m: &[u64]) -> Vec<u64> {
    // i. s_1 = m^dP mod p and s_2 = m^dQ mod q.
    let half = |prime: &[u64], exponent: &[u64]| {
        let (mut residue, mut s) = (vec![0; prime.len()], vec![0; prime.len()]);
        reduce_wide(&mut residue, m, prime);
        mod_pow(&mut s, &residue, exponent, prime);
        s
    };
    let (p, q) = (key.p.expose(), key.q.expose());
    let (s1, s2) = (half(p, key.dp.expose()), half(q, key.dq.expose()));
    // iii. h = (s_1 − s_2)·qInv mod p.
    let (mut s2_mod_p, mut difference) = (vec![0; p.len()], s1);
    reduce_wide(&mut s2_mod_p, &s2, p);
    let borrow = sub_assign(&mut difference, &s2_mod_p);
    add_assign_if(Choice::from(borrow as u8), &mut difference, p);
    let (mut product, mut h) = (vec![0; 2 * p.len()], vec![0; p.len()]);
    mul(&mut product, &difference, key.qinv.expose());
    reduce_wide(&mut h, &product, p);
    // iv. s = s_2 + q·h.
    let mut s = vec![0; p.len() + q.len()];
    mul(&mut s, q, &h);
    let mut addend = s2;
    addend.resize(s.len(), 0);
    assert_eq!(crate::arith::limbs::add_assign(&mut s, &addend), 0);
    s.resize(key.n.len(), 0);
    s
}
