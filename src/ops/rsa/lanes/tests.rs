//! The private and the public operation of every tier against RSA by the book.

use super::*;
#[cfg(all(lanes, target_os = "linux"))]
use crate::arch::counting::counted;
use crate::arch::testing::with_tier;
use crate::arch::{Avx2Fma, Avx512Ifma, AvxIfma, Portable, Tier, TierKind};
use crate::arith::testing::{Operands, big, limbs as to_limbs};
use crate::ops::rsa::testing::{key, rsasp1};
use crate::ops::rsa::{Padding, RsaPrivateKey, SignRequest};
use crate::ops::{Request, Runner};
use num_bigint::BigUint;

macro_rules! tier_tests {
    ($module:ident, $kind:expr, $token:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn lanes_rsa2048() {
                with_tier($kind, $token, |tier| check(tier, &["rsa2048.pkcs8", "rsa2048-e3.pkcs8"]));
            }

            #[test]
            fn lanes_rsa3072() {
                with_tier($kind, $token, |tier| check(tier, &["rsa3072.pkcs8"]));
            }

            #[test]
            fn lanes_rsa4096() {
                with_tier($kind, $token, |tier| check(tier, &["rsa4096.pkcs8"]));
            }
        }
    };
}

fn portable() -> Option<Portable> {
    match Tier::portable() {
        Tier::Portable(token) => Some(token),
        _ => None,
    }
}

tier_tests!(portable, TierKind::Portable, portable());
tier_tests!(avx2_fma, TierKind::Avx2Fma, Avx2Fma::detect());
tier_tests!(avx_ifma, TierKind::AvxIfma, AvxIfma::detect());
tier_tests!(avx512_ifma, TierKind::Avx512Ifma, Avx512Ifma::detect());

/// Messages at the edges of both halves, and random ones.
fn messages(key: &Components, random: &mut Operands) -> Vec<Vec<u64>> {
    let (n, p, q) = (big(&key.n), big(key.p.expose()), big(key.q.expose()));
    let random_one = big(&random.random(key.n.len())) % &n;
    let edges =
        [0u8.into(), 1u8.into(), &n - 1u8, p.clone(), q.clone(), &n - &p, &q + 1u8, &p - 1u8, random_one];
    edges.iter().map(|m: &BigUint| to_limbs(m, key.n.len())).collect()
}

fn blinding(prime: &Secret<u64>, e: u64, random: &mut Operands) -> BlindingPair {
    let p = big(prime.expose());
    let len = prime.expose().len();
    let r = big(&random.random(len)) % &p;
    let secret = |x: BigUint| Secret::copied_from(&to_limbs(&x, len));
    BlindingPair { factor: secret(r.modpow(&e.into(), &p)), inverse: secret(r.modinv(&p).unwrap()) }
}

/// A key, and messages with what the book makes of them.
struct Case {
    key: RsaPrivateKey,
    messages: Vec<(Vec<u64>, Vec<u64>)>,
}

impl Case {
    fn new(name: &str, random: &mut Operands) -> Self {
        let key = key(name);
        let messages = messages(key.components(), random).into_iter();
        let messages = messages.map(|m| (m.clone(), rsasp1(key.components(), &m))).collect();
        Self { key, messages }
    }
}

/// Every message in every lane position, at every fill, with the keys taking turns.
fn check<K: MontLanes>(kernel: K, names: &[&str]) {
    let mut random = Operands::new(2048);
    let cases: Vec<_> = names.iter().map(|name| Case::new(name, &mut random)).collect();
    let mut workspace = Workspace::<K>::new();
    for fill in 1..=K::LANES / 2 {
        let count = cases[0].messages.len();
        for first in 0..count {
            let batch =
                (first..first + fill).map(|i| (&cases[i % cases.len()], i % count)).collect::<Vec<_>>();
            check_batch(kernel, &mut workspace, &batch, &mut random);
        }
    }
    let used = workspace.0.expose().iter().flat_map(|v| v.as_ref());
    assert!(used.into_iter().all(|word| *word == 0), "the workspace is wiped");
}

/// One batch, of these cases with the messages of these indices.
fn check_batch<K: MontLanes>(
    kernel: K,
    workspace: &mut Workspace<K>,
    batch: &[(&Case, usize)],
    random: &mut Operands,
) {
    let mut output: Vec<_> = batch.iter().map(|(case, i)| vec![0; case.messages[*i].0.len()]).collect();
    let mut back = output.clone();
    let mut jobs = Vec::new();
    for ((case, i), output) in batch.iter().zip(&mut output) {
        let c = case.key.components();
        let blinding = [&c.p, &c.q].map(|prime| blinding(prime, c.e, random));
        let input = &case.messages[*i].0;
        jobs.push(PrivateJob { key: case.key.lanes::<K>().unwrap(), input, blinding, output });
    }
    private(kernel, workspace, &mut jobs);
    for ((case, i), output) in batch.iter().zip(&output) {
        assert_eq!(output, &case.messages[*i].1, "{:?}, {:?}, {} keys", K::KIND, case.key, batch.len());
    }
    let mut jobs = Vec::new();
    for (((case, _), input), output) in batch.iter().zip(&output).zip(&mut back) {
        jobs.push(PublicJob { key: case.key.lanes::<K>().unwrap().public(), input, output });
    }
    public(kernel, workspace, &mut jobs);
    for ((case, i), back) in batch.iter().zip(&back) {
        assert_eq!(back, &case.messages[*i].0);
    }
}

/// Eight private operations of 2048 bits, first the exponentiations and recombinations alone, then everything
/// that a signature needs. Run in the emulator, which prints the counts.
#[cfg(all(lanes, target_os = "linux"))]
#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_eight_private_operations() {
    fn count<K: MontLanes>(kernel: K) {
        let key = key("rsa2048.pkcs8");
        let mut random = Operands::new(8);
        let mut workspace = Workspace::<K>::new();
        let input = messages(key.components(), &mut random).pop().unwrap();
        let mut outputs = vec![vec![0; input.len()]; 8];
        let mut batch = |outputs: &mut [Vec<u64>], blinding: &mut Vec<[BlindingPair; 2]>| {
            for outputs in outputs.chunks_mut(K::LANES / 2) {
                let mut jobs: Vec<_> = outputs
                    .iter_mut()
                    .map(|output| PrivateJob {
                        key: key.lanes::<K>().unwrap(),
                        input: &input,
                        blinding: blinding.pop().unwrap(),
                        output,
                    })
                    .collect();
                private(kernel, &mut workspace, &mut jobs);
            }
        };
        let c = key.components();
        let mut pairs =
            || (0..8).map(|_| [&c.p, &c.q].map(|prime| blinding(prime, c.e, &mut random))).collect();
        batch(&mut outputs, &mut pairs());
        let mut pairs = pairs();
        counted(c"8 RSA-2048 private CRT operations", || batch(&mut outputs, &mut pairs));
        assert_eq!(outputs[7], rsasp1(c, &input));
    }
    fn count_signatures(tier: Tier) {
        let key = key("rsa2048.pkcs8");
        let mut runner = Runner::new(tier);
        let request = SignRequest::new(&key, Padding::PssSha256, b"m").unwrap();
        let requests = vec![Request::RsaSign(request); runner.capacity(key.op().unwrap())];
        let requests: Vec<_> = requests.iter().collect();
        let mut results = Vec::new();
        runner.run(&requests, &mut results);
        counted(c"8 RSA-2048 PSS signatures, everything included", || {
            for _ in 0..8 / requests.len() {
                runner.run(&requests, &mut results);
            }
        });
        assert!(results.iter().all(Result::is_ok));
    }
    if let Some(kernel) = Avx512Ifma::detect() {
        count(kernel);
    } else if let Some(kernel) = AvxIfma::detect() {
        count(kernel);
    } else if let Some(kernel) = Avx2Fma::detect() {
        count(kernel);
    }
    count_signatures(Tier::detect());
}
