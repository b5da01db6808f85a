//! Instructions of eight operations on curves, everything included, counted by the emulator.

use super::{NistCurve, Op, Request, Response, Runner, ecdsa, ed25519, kx};
use crate::arch::Tier;
use crate::arch::counting::counted;
use std::ffi::CString;

/// A request for each operation.
fn requests(runner: &mut Runner) -> Vec<Request> {
    let agree = |group| {
        let pair = kx::KeyPair::generate(group).unwrap();
        Request::Agree(kx::AgreeRequest::new(&pair.private, &pair.public).unwrap())
    };
    let edwards = ed25519::PrivateKey::from_bytes(&[7; 32]).unwrap();
    let signature = edwards.sign(b"m").unwrap();
    let verify = ed25519::VerifyRequest::new(edwards.public_key(), b"m", &signature).unwrap();
    let mut all = vec![
        agree(kx::Group::X25519),
        Request::Keygen(kx::Group::X25519),
        Request::Ed25519Sign(ed25519::SignRequest::new(&edwards, b"m")),
        Request::Ed25519Verify(verify),
    ];
    for (curve, algorithm) in
        [(NistCurve::P256, &rcgen::PKCS_ECDSA_P256_SHA256), (NistCurve::P384, &rcgen::PKCS_ECDSA_P384_SHA384)]
    {
        let der = rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_der();
        let key = ecdsa::EcdsaPrivateKey::from_pkcs8_der(&der).unwrap();
        let sign = Request::EcdsaSign(ecdsa::SignRequest::new(&key, b"m"));
        let mut results = Vec::new();
        runner.run(&[&sign], &mut results);
        let Some(Ok(Response::Signature(signature))) = results.pop() else { panic!("no signature") };
        let verify = ecdsa::VerifyRequest::new(curve, curve.hash(), key.public_key(), b"m", &signature);
        all.extend([
            sign,
            Request::EcdsaVerify(verify.unwrap()),
            agree(curve.into()),
            Request::Keygen(curve.into()),
        ]);
    }
    all
}

#[test]
#[ignore = "prints instruction counts, in the emulator"]
fn count_eight_operations() {
    let mut runner = Runner::new(Tier::detect());
    // Verifications are those with a key that is new.
    ecdsa::limit_table_bytes(0);
    for request in requests(&mut runner) {
        let op: Op = request.op();
        let lanes = runner.capacity(op);
        let batch = vec![&request; lanes];
        let mut results = Vec::new();
        // The allocator tidies up behind what came before in the second batch.
        (0..2).for_each(|_| runner.run(&batch, &mut results));
        let label = CString::new(format!("8 times {}", op.name())).unwrap();
        counted(&label, || (0..8 / lanes).for_each(|_| runner.run(&batch, &mut results)));
        assert!(results.iter().all(Result::is_ok));
    }
}
