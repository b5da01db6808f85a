//! The NIST curves y² = x³ − 3x + b in lanes: scalar multiplication for ECDSA and ECDH.

#[cfg(all(test, lanes, target_os = "linux"))]
mod counts;
mod fixed;
mod group;
mod lanes;
mod prepared;
mod recode;
mod split;
#[cfg(test)]
mod tests;
mod variable;

pub(crate) use fixed::Kernel;
pub(crate) use group::Affine;
pub(crate) use lanes::{Lanes, Scalars};
pub(crate) use prepared::PublicTable;

use super::modular::Modulus;
use crate::arch::prime::{P256, P384, Prime};
use subtle::Choice;

/// A curve of prime order over the field of `N` limbs (SP 800-186 §3.2.1).
pub(crate) trait Curve<const N: usize>: Prime {
    /// p.
    const FIELD: &'static Modulus<N>;
    /// The order n of the group.
    const ORDER: &'static Modulus<N>;
    /// b, and the base point's coordinates: below p, not in Montgomery form.
    const B: [u64; N];
    const G: Affine<N>;
    /// Bits of a window of the base point's table.
    const FIXED_WINDOW: usize;
}

static P256_FIELD: Modulus<4> = Modulus::new(*P256::P.first_chunk().expect("four limbs"));
static P256_ORDER: Modulus<4> =
    Modulus::new([0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, u64::MAX, 0xffff_ffff_0000_0000]);

impl Curve<4> for P256 {
    const FIELD: &'static Modulus<4> = &P256_FIELD;
    const ORDER: &'static Modulus<4> = &P256_ORDER;
    const B: [u64; 4] =
        [0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7];
    const G: Affine<4> = Affine {
        x: [0xf4a1_3945_d898_c296, 0x7703_7d81_2deb_33a0, 0xf8bc_e6e5_63a4_40f2, 0x6b17_d1f2_e12c_4247],
        y: [0xcbb6_4068_37bf_51f5, 0x2bce_3357_6b31_5ece, 0x8ee7_eb4a_7c0f_9e16, 0x4fe3_42e2_fe1a_7f9b],
    };
    const FIXED_WINDOW: usize = 7;
}

static P384_FIELD: Modulus<6> = Modulus::new(*P384::P.first_chunk().expect("six limbs"));
static P384_ORDER: Modulus<6> = Modulus::new([
    0xecec_196a_ccc5_2973,
    0x581a_0db2_48b0_a77a,
    0xc763_4d81_f437_2ddf,
    u64::MAX,
    u64::MAX,
    u64::MAX,
]);

impl Curve<6> for P384 {
    const FIELD: &'static Modulus<6> = &P384_FIELD;
    const ORDER: &'static Modulus<6> = &P384_ORDER;
    const B: [u64; 6] = [
        0x2a85_c8ed_d3ec_2aef,
        0xc656_398d_8a2e_d19d,
        0x0314_088f_5013_875a,
        0x181d_9c6e_fe81_4112,
        0x988e_056b_e3f8_2d19,
        0xb331_2fa7_e23e_e7e4,
    ];
    const G: Affine<6> = Affine {
        x: [
            0x3a54_5e38_7276_0ab7,
            0x5502_f25d_bf55_296c,
            0x59f7_41e0_8254_2a38,
            0x6e1d_3b62_8ba7_9b98,
            0x8eb1_c71e_f320_ad74,
            0xaa87_ca22_be8b_0537,
        ],
        y: [
            0x7a43_1d7c_90ea_0e5f,
            0x0a60_b1ce_1d7e_819d,
            0xe9da_3113_b5f0_b8c0,
            0xf8f4_1dbd_289a_147c,
            0x5d9e_98bf_9292_dc29,
            0x3617_de4a_9626_2c6f,
        ],
    };
    // Larger tables would not leave room in the second-level cache.
    const FIXED_WINDOW: usize = 6;
}

/// Whether (x, y), both below p, is on the curve; constant-time.
pub(crate) fn is_on_curve<const N: usize, C: Curve<N>>(point: &Affine<N>) -> Choice {
    let f = C::FIELD;
    let (x, y, b) = (f.enter(&point.x), f.enter(&point.y), f.enter(&C::B));
    let mut three = [0; N];
    three[0] = 3;
    let slope = f.sub(&f.mul(&x, &x), &f.enter(&three));
    let difference = f.sub(&f.mul(&y, &y), &f.add(&f.mul(&slope, &x), &b));
    super::limbs::is_zero(&difference)
}
