//! Machine-checked: preparing an RSA key for lanes and the private operation, with everything that is done on plain limbs
//! around the kernels, have no branch and no address that depends on the key, the blinding or the result.

use super::import::Components;
use super::lanes::{BlindingPair, LaneKey, PrivateJob, Workspace, private};
use super::testing::vendored;
use crate::arch::lanes::MontLanes;
use crate::arch::memcheck::{is_running, mark_secret};
use crate::arch::testing::Random;
use crate::arch::{Avx2Fma, Secret, Tier};
use std::hint::black_box;
use std::process::Command;

const TEST: &str = "ops::rsa::constant_time::valgrind_sees_no_secret_branch_or_address";
const LEAK: &str = "CONSTANT_TIME_LEAK";

/// Runs this very test in valgrind: once as it is, once with a deliberate leak that must be found.
#[test]
#[ignore = "needs valgrind, x86-64 and a release build, which has no overflow checks to branch on"]
fn valgrind_sees_no_secret_branch_or_address() {
    if is_running() {
        let Tier::Portable(portable) = Tier::portable() else { unreachable!("a portable tier") };
        sign(portable);
        return Avx2Fma::detect().into_iter().for_each(sign);
    }
    let run = |leak: &str| {
        let mut command = Command::new("valgrind");
        command.args(["-q", "--error-exitcode=9"]).arg(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--ignored", "--test-threads=1", "--nocapture"]);
        let output = command.env(LEAK, leak).output().expect("valgrind does not start");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, report) = run("0");
    assert_eq!(code, Some(0), "{report}");
    let (code, report) = run("1");
    assert_eq!(code, Some(9), "the deliberate leak was not found: {report}");
}

/// One signature: two lanes are used, two or more are not.
fn sign<K: MontLanes>(kernel: K) {
    let (_, der) = super::import::from_pem(&vendored("rsa-keys/rsa2048.pkcs1.pem")).expect("PEM");
    let mut key = Components::from_pkcs1_der(der.expose()).expect("a key");
    for number in [&mut key.p, &mut key.q, &mut key.dp, &mut key.dq, &mut key.qinv] {
        mark_secret(number.expose_mut());
    }
    // That primes are odd is no secret.
    key.p.expose_mut()[0] |= 1;
    key.q.expose_mut()[0] |= 1;
    let lane_key = LaneKey::new::<K>(&key).expect("2048 bits");
    let mut random = Random(1);
    let mut secret = |len: usize| {
        let mut number = Secret::zeroed(len);
        number.expose_mut().fill_with(|| random.word() >> 1);
        mark_secret(number.expose_mut());
        number
    };
    let blinding = [(); 2].map(|()| BlindingPair { factor: secret(16), inverse: secret(16) });
    let (input, mut output) = (vec![3; 32], vec![0; 32]);
    let mut workspace = Workspace::new();
    private(
        kernel,
        &mut workspace,
        &mut [PrivateJob { key: &lane_key, input: &input, blinding, output: &mut output }],
    );
    black_box(&output);
    if std::env::var(LEAK).unwrap() == "1" {
        // An address, because a branch could become a conditional move.
        black_box(black_box([0u8; 8])[(output[0] & 7) as usize]);
    }
}
