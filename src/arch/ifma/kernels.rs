//! The kernels of either tier: functions that have its features, and the traits that lead to them.

use super::field25519;
use super::vectors::{Ymm, Zmm};
use crate::arch::field25519::{Element, Field25519Lanes};
use crate::arch::lanes::{Vec4, Vec8};
use crate::arch::number::{Reduced, Sum};
use crate::arch::portable::prime::{get_limbs, set_digits};
use crate::arch::prime::{MAX_COMBINED, P256, P384, PrimeLanes};
use crate::arch::tier::{Avx512Ifma, AvxIfma, TierKind};

/// Functions with the features of a tier, and what it implements with them.
macro_rules! fields {
    (
        $module:ident, #[$attribute:meta], $token:ident, $kind:ident, $vec:ident, $words:ident, $lanes:literal
    ) => {
        mod $module {
            use crate::arch::ifma::prime::{self, Modulus};
            use crate::arch::ifma::{field25519, jacobian};
            use super::{$token, $vec, $words};

            type Digits<const D: usize> = [$vec; D];

            #[$attribute]
            pub(super) fn prime_mul<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                out: &mut Digits<D>,
                a: &Digits<D>,
                b: &Digits<D>,
            ) {
                prime::mul::<M, $words, D, C>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn prime_sqr<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                out: &mut Digits<D>,
                a: &Digits<D>,
            ) {
                prime::sqr::<M, $words, D, C>(token, out, a);
            }

            #[$attribute]
            pub(super) fn prime_sum<const D: usize>(
                token: $token,
                out: &mut Digits<D>,
                a: &Digits<D>,
                b: &Digits<D>,
            ) {
                prime::sum::<$words, D>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn prime_difference<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                out: &mut Digits<D>,
                a: &Digits<D>,
                b: &Digits<D>,
            ) {
                prime::difference::<M, $words, D, C>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn prime_combine<
                M: Modulus<D, C>,
                const D: usize,
                const C: usize,
                const X: i64,
                const Y: i64,
                const Z: i64,
            >(
                token: $token,
                out: &mut Digits<D>,
                terms: [&Digits<D>; 3],
            ) {
                prime::combine::<M, $words, D, C, X, Y, Z>(token, out, terms);
            }

            #[$attribute]
            pub(super) fn prime_negate_if<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                out: &mut Digits<D>,
                mask: &$vec,
            ) {
                prime::negate_if::<M, $words, D, C>(token, out, mask);
            }

            #[$attribute]
            pub(super) fn prime_double<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                p: [&mut Digits<D>; 3],
            ) {
                jacobian::double::<M, $words, D, C>(token, p);
            }

            #[$attribute]
            pub(super) fn prime_add_affine<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                p: [&mut Digits<D>; 3],
                q: [&Digits<D>; 2],
            ) {
                jacobian::add_affine::<M, $words, D, C>(token, p, q);
            }

            #[$attribute]
            pub(super) fn prime_add_jacobian<M: Modulus<D, C>, const D: usize, const C: usize>(
                token: $token,
                p: [&mut Digits<D>; 3],
                q: [&Digits<D>; 5],
            ) {
                jacobian::add_jacobian::<M, $words, D, C>(token, p, q);
            }

            #[$attribute]
            pub(super) fn assign_if<const D: usize>(
                token: $token,
                out: &mut Digits<D>,
                other: &Digits<D>,
                mask: &$vec,
            ) {
                prime::assign_if::<$words, D>(token, out, other, mask);
            }

            #[$attribute]
            pub(super) fn mul_25519(token: $token, out: &mut Digits<5>, a: &Digits<5>, b: &Digits<5>) {
                field25519::mul::<$words>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn sqr_25519(token: $token, out: &mut Digits<5>, a: &Digits<5>) {
                field25519::sqr::<$words>(token, out, a);
            }

            #[$attribute]
            pub(super) fn add_sub_25519(
                token: $token,
                sum: &mut Digits<5>,
                difference: &mut Digits<5>,
                a: &Digits<5>,
                b: &Digits<5>,
            ) {
                field25519::add_sub::<$words>(token, sum, difference, a, b);
            }

            #[$attribute]
            pub(super) fn add_25519(token: $token, out: &mut Digits<5>, a: &Digits<5>, b: &Digits<5>) {
                field25519::sum::<$words>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn reduce_25519(token: $token, out: &mut Digits<5>, a: &Digits<5>) {
                field25519::reduce::<$words>(token, out, a);
            }

            #[$attribute]
            pub(super) fn sub_25519(token: $token, out: &mut Digits<5>, a: &Digits<5>, b: &Digits<5>) {
                field25519::difference::<$words>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn add_121665(token: $token, out: &mut Digits<5>, a: &Digits<5>, b: &Digits<5>) {
                field25519::add_121665::<$words>(token, out, a, b);
            }

            #[$attribute]
            pub(super) fn ladder(
                token: $token,
                points: [&mut Digits<5>; 4],
                u: &Digits<5>,
                swaps: &[$vec; 4],
            ) {
                field25519::ladder::<$words>(token, points, u, swaps);
            }
        }

        prime_fields!($module, $token, $vec, $lanes: P256, 5, 10, prime_double; P384, 8, 16;);

        impl Field25519Lanes for $token {
            const KIND: TierKind = TierKind::$kind;
            const LANES: usize = $lanes;
            type Mask = $vec;
            type Sum = Sum<$vec, 5>;
            type Reduced = Reduced<$vec, 5>;

            fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64; 4]) {
                let digits = field25519::digits(limbs);
                out.0.0.iter_mut().zip(digits).for_each(|(v, digit)| v.0[lane] = digit);
            }

            fn get(element: &Self::Reduced, lane: usize) -> Element {
                field25519::element(element.0.0.map(|v| v.0[lane]))
            }

            fn add_sub(
                self,
                sum: &mut Self::Sum,
                difference: &mut Self::Sum,
                a: &Self::Reduced,
                b: &Self::Reduced,
            ) {
                // SAFETY: the token proves the features.
                unsafe { $module::add_sub_25519(self, &mut sum.0, &mut difference.0, &a.0.0, &b.0.0) }
            }

            fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves the features.
                unsafe { $module::add_25519(self, &mut out.0, &a.0.0, &b.0.0) }
            }

            fn reduce(self, out: &mut Self::Reduced, a: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::reduce_25519(self, &mut out.0.0, &a.0) }
            }

            fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves the features.
                unsafe { $module::sub_25519(self, &mut out.0, &a.0.0, &b.0.0) }
            }

            fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::mul_25519(self, &mut out.0.0, &a.0, &b.0) }
            }

            fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::sqr_25519(self, &mut out.0.0, &a.0) }
            }

            fn add_121665(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::add_121665(self, &mut out.0, &a.0.0, &b.0) }
            }

            fn ladder(self, points: [&mut Self::Reduced; 4], u: &Self::Reduced, swaps: &[$vec; 4]) -> bool {
                // SAFETY: the token proves the features.
                unsafe { $module::ladder(self, points.map(|p| &mut p.0.0), &u.0.0, swaps) }
                true
            }

            fn assign_if(self, out: &mut Self::Sum, other: &Self::Sum, mask: &$vec) {
                // SAFETY: the token proves the features.
                unsafe { $module::assign_if(self, &mut out.0, &other.0, mask) }
            }
        }
    };
}

macro_rules! prime_fields {
    (
        $module:ident, $token:ident, $vec:ident, $lanes:literal:
        $($prime:ident, $d:literal, $c:literal $(, $double:ident)?;)*
    ) => {$(
        impl PrimeLanes<$prime> for $token {
            const LANES: usize = $lanes;
            const R_BITS: usize = 52 * $d;
            type Vec = $vec;
            type Sum = Sum<$vec, $d>;
            type Reduced = Reduced<$vec, $d>;

            fn set(out: &mut Self::Reduced, lane: usize, limbs: &[u64]) {
                set_digits(out, lane, limbs);
            }

            fn get(out: &mut [u64], element: &Self::Reduced, lane: usize) {
                get_limbs::<$prime, _, $d>(out, element, lane);
            }

            fn add(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves the features.
                unsafe { $module::prime_sum(self, &mut out.0, &a.0.0, &b.0.0) }
            }

            fn sub(self, out: &mut Self::Sum, a: &Self::Reduced, b: &Self::Reduced) {
                // SAFETY: the token proves the features.
                unsafe { $module::prime_difference::<$prime, $d, $c>(self, &mut out.0, &a.0.0, &b.0.0) }
            }

            fn combine<const A: i64, const B: i64, const C: i64>(
                self,
                out: &mut Self::Reduced,
                a: &Self::Reduced,
                b: &Self::Reduced,
                c: &Self::Reduced,
            ) {
                const { assert!(A.unsigned_abs() + B.unsigned_abs() + C.unsigned_abs() <= MAX_COMBINED) };
                let terms = [&a.0.0, &b.0.0, &c.0.0];
                // SAFETY: the token proves the features.
                unsafe { $module::prime_combine::<$prime, $d, $c, A, B, C>(self, &mut out.0.0, terms) }
            }

            fn mul(self, out: &mut Self::Reduced, a: &Self::Sum, b: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::prime_mul::<$prime, $d, $c>(self, &mut out.0.0, &a.0, &b.0) }
            }

            fn sqr(self, out: &mut Self::Reduced, a: &Self::Sum) {
                // SAFETY: the token proves the features.
                unsafe { $module::prime_sqr::<$prime, $d, $c>(self, &mut out.0.0, &a.0) }
            }

            $(fn double(self, p: &mut [Self::Reduced; 3]) -> bool {
                // SAFETY: the token proves the features.
                unsafe { $module::$double::<$prime, $d, $c>(self, p.each_mut().map(|c| &mut c.0.0)) }
                true
            }

            fn add_affine(self, p: &mut [Self::Reduced; 3], q: &[Self::Reduced; 2]) -> bool {
                let p = p.each_mut().map(|c| &mut c.0.0);
                // SAFETY: the token proves the features.
                unsafe { $module::prime_add_affine::<$prime, $d, $c>(self, p, q.each_ref().map(|c| &c.0.0)) }
                true
            }

            fn add_jacobian(self, p: &mut [Self::Reduced; 3], q: &[Self::Reduced; 5]) -> bool {
                let p = p.each_mut().map(|c| &mut c.0.0);
                let q = q.each_ref().map(|c| &c.0.0);
                // SAFETY: the token proves the features.
                unsafe { $module::prime_add_jacobian::<$prime, $d, $c>(self, p, q) }
                true
            })?

            fn negate_if(self, out: &mut Self::Reduced, mask: &$vec) {
                // SAFETY: the token proves the features.
                unsafe { $module::prime_negate_if::<$prime, $d, $c>(self, &mut out.0.0, mask) }
            }

            fn assign_if(self, out: &mut Self::Reduced, other: &Self::Reduced, mask: &$vec) {
                // SAFETY: the token proves the features.
                unsafe { $module::assign_if(self, &mut out.0.0, &other.0.0, mask) }
            }
        }
    )*};
}

fields!(
    avx512,
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")],
    Avx512Ifma,
    Avx512Ifma,
    Vec8,
    Zmm,
    8
);
fields!(avx, #[target_feature(enable = "avx2,avxifma")], AvxIfma, AvxIfma, Vec4, Ymm, 4);

#[cfg(test)]
mod on_plain_words {
    #![expect(unused_unsafe, reason = "the same macro calls kernels that need features, which these do not")]

    use super::*;
    use crate::arch::ifma::plain::{Plain, PlainIfma};

    fields!(plain, #[inline(always)], PlainIfma, Portable, Vec4, Plain, 4);
}
