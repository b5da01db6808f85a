use super::*;
use crate::arith::testing::{Operands, big};
use crate::ops::rsa::testing::key;
use crate::ops::scalar;
use num_bigint::BigUint;
use std::cell::Cell;
use std::collections::HashSet;

const P: [u64; 1] = [0xffff_ffff_ffff_ffc5]; // the largest prime below 2^64

fn take(blinding: &mut Blinding, random: Random<'_>) -> Result<(BigUint, BigUint), Error> {
    let (mut a, mut a_inv) =
        (vec![7; blinding.factor.expose().len()], vec![7; blinding.factor.expose().len()]);
    blinding.take(random, &mut a, &mut a_inv)?;
    Ok((big(&a), big(&a_inv)))
}

#[test]
fn pairs_belong_together_and_change_as_documented() {
    for name in ["rsa2048.pkcs8", "rsa3072.pkcs8", "rsa4096.pkcs8", "rsa2048-e3.pkcs8"] {
        let key = key(name);
        for prime in [&key.components().p, &key.components().q] {
            let (p, e) = (big(prime.expose()), BigUint::from(key.public_exponent()));
            let mut blinding = Blinding::new(&Modulus::new(prime.expose(), key.public_exponent()));
            let drawn = Cell::new(0);
            let mut random = |out: &mut [u8]| {
                drawn.set(drawn.get() + 1);
                scalar::random(out)
            };
            let (mut last, mut seen) = (None, HashSet::new());
            for i in 0..100 {
                let before = drawn.get();
                let (a, a_inv) = take(&mut blinding, &mut random).unwrap();
                assert!(a < p && a_inv < p);
                assert_eq!(
                    &a * a_inv.modpow(&e, &p) % &p,
                    BigUint::from(1u8),
                    "A is not the inverse of A⁻ to the e"
                );
                assert_eq!(drawn.get() > before, i % 32 == 0, "use {i}");
                if let Some((a_last, inv_last)) = last.replace((a.clone(), a_inv.clone())) {
                    let squared: (BigUint, BigUint) = (&a_last * &a_last % &p, &inv_last * &inv_last % &p);
                    assert_eq!((a.clone(), a_inv.clone()) == squared, i % 32 != 0, "use {i}");
                }
                assert!(seen.insert(a) && seen.insert(a_inv));
            }
        }
    }
}

#[test]
fn blinded_exponentiation_gives_the_same_number() {
    let key = key("rsa2048.pkcs8");
    let (p, dp) = (big(key.components().p.expose()), big(key.components().dp.expose()));
    let mut operands = Operands::new(1);
    let blinding = key.blinding().unwrap();
    for _ in 0..40 {
        let m = big(&operands.random(16)) % &p;
        let (a, a_inv) = blinding.with(|p, _| take(p, &mut scalar::random)).unwrap();
        let blinded = &m * a % &p;
        assert_ne!(blinded, m);
        assert_eq!(blinded.modpow(&dp, &p) * a_inv % &p, m.modpow(&dp, &p));
    }
}

#[test]
fn out_of_range_numbers_are_drawn_again() {
    // 0, p and 2^64 − 1 are refused, 3 is taken for r·R.
    let draws = [0, P[0], u64::MAX, 3, 0];
    let mut next = draws.iter();
    let mut random = |out: &mut [u8]| {
        out.copy_from_slice(&next.next().unwrap().to_be_bytes());
        Ok(())
    };
    let mut blinding = Blinding::new(&Modulus::new(&P, 3));
    let (_, a_inv) = take(&mut blinding, &mut random).unwrap();
    assert_eq!(next.len(), 1);
    let p = big(&P);
    assert_eq!(a_inv * 3u8 % &p, (BigUint::from(1u8) << 64) % p);
}

#[test]
fn draws_have_the_length_of_the_prime_and_cover_its_range() {
    let mut blinding = Blinding::new(&Modulus::new(&[1009, 0], 3));
    let mut seen = HashSet::new();
    let mut random = |out: &mut [u8]| {
        assert_eq!(out.len(), 2);
        scalar::random(out)
    };
    for _ in 0..20_000 {
        blinding.draw(&mut random).unwrap();
        seen.insert(blinding.factor.expose()[0]);
    }
    // Each of the 1008 values is missed with a probability below 10^-8.
    assert_eq!((seen.len(), seen.iter().min(), seen.iter().max()), (1008, Some(&1), Some(&1008)));
}

#[test]
fn a_number_without_inverse_is_drawn_again() {
    // A "prime" 3·5·7: 35 has no inverse, 2 has.
    let mut draws = [35u8, 2].into_iter();
    let mut random = |out: &mut [u8]| {
        out.copy_from_slice(&[draws.next().unwrap()]);
        Ok(())
    };
    let mut blinding = Blinding::new(&Modulus::new(&[105], 11));
    take(&mut blinding, &mut random).unwrap();
    assert_eq!(draws.len(), 0);
}

#[test]
fn a_failing_or_broken_generator_is_an_error_and_not_a_weak_number() {
    let mut blinding = Blinding::new(&Modulus::new(&P, 65537));
    assert_eq!(take(&mut blinding, &mut |_| Err(Error::Random)), Err(Error::Random));
    for byte in [0x00, 0xff] {
        let mut stuck = |out: &mut [u8]| {
            out.fill(byte);
            Ok(())
        };
        assert_eq!(take(&mut blinding, &mut stuck), Err(Error::Random));
        assert_eq!(blinding.factor.expose(), [0]);
    }
    take(&mut blinding, &mut scalar::random).unwrap();
    // In the middle of a run no random number is needed.
    take(&mut blinding, &mut |_| Err(Error::Random)).unwrap();
}

#[test]
fn another_process_draws_its_own_numbers() {
    let key = key("rsa2048.pkcs8");
    let blinding = KeyBlinding::new(key.components());
    let drawn = Cell::new(0);
    let take_both = || {
        blinding.with(|p, q| {
            let mut random = |out: &mut [u8]| {
                drawn.set(drawn.get() + 1);
                scalar::random(out)
            };
            take(p, &mut random).unwrap();
            take(q, &mut random).unwrap();
        });
        drawn.take() >= 2
    };
    assert!(take_both());
    assert!(!take_both());
    blinding.slots[0].lock().unwrap().process ^= 1;
    assert!(take_both());
    assert!(!take_both());
}

#[test]
fn a_panic_in_the_middle_leaves_no_torn_pair() {
    let key = key("rsa2048.pkcs8");
    let blinding = KeyBlinding::new(key.components());
    blinding.with(|p, _| take(p, &mut scalar::random)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        blinding.with(|p, _| {
            p.factor.expose_mut()[0] ^= 1;
            panic!("in the middle");
        })
    }));
    assert!(panicked.is_err());
    let p = big(key.components().p.expose());
    let (a, a_inv) = blinding.with(|p, _| take(p, &mut scalar::random)).unwrap();
    assert_eq!(a * a_inv.modpow(&key.public_exponent().into(), &p) % p, BigUint::from(1u8));
}

#[test]
fn threads_never_share_a_pair() {
    let key = key("rsa2048.pkcs8");
    let blinding = key.blinding().unwrap();
    let run = || {
        (0..200).map(|_| blinding.with(|p, _| take(p, &mut scalar::random)).unwrap().0).collect::<Vec<_>>()
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 8 * 200);
}

#[test]
fn a_slot_is_free_until_all_are_taken() {
    let key = key("rsa2048.pkcs8");
    let blinding = KeyBlinding::new(key.components());
    let mut held: Vec<_> = (0..SLOTS).map(|_| blinding.free_slot().expect("a slot is free")).collect();
    assert!(blinding.free_slot().is_none());
    drop(held.swap_remove(2));
    assert!(blinding.free_slot().is_some());
}
