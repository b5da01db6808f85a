//! RSA signatures, each tier of this machine at every fill, against aws-lc-rs one by one.
//!
//! Every batch asserts that its signatures verify before it is timed.
#![expect(missing_docs, reason = "criterion's macros make undocumented items")]

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustls_multibuffer::ops::rsa::{Padding, RsaPrivateKey, SignRequest};
use rustls_multibuffer::ops::{Request, Response, Runner};
use rustls_multibuffer::{Tier, TierKind};

const MESSAGE: &[u8] = b"a transcript hash and its context";

fn key(name: &str) -> RsaPrivateKey {
    let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    RsaPrivateKey::from_pem(&text).expect("a vendored key")
}

fn run(runner: &mut Runner, requests: &[&Request]) -> Vec<Vec<u8>> {
    let mut results = Vec::new();
    runner.run(requests, &mut results);
    let signature = |result| match result {
        Ok(Response::Signature(signature)) => signature,
        other => panic!("{other:?}"),
    };
    results.into_iter().map(signature).collect()
}

fn sign(c: &mut Criterion) {
    for name in ["rsa2048.pkcs8", "rsa3072.pkcs8", "rsa4096.pkcs8"] {
        let key = key(name);
        let mut group = c.benchmark_group(format!("rsa{}-pss-sign", key.bits()));
        for tier in TierKind::DETECTABLE.into_iter().filter_map(Tier::of_kind) {
            let mut runner = Runner::new(tier);
            let capacity = runner.capacity(key.op().expect("lanes serve the key"));
            for fill in 1..=capacity {
                let request =
                    SignRequest::new(&key, Padding::PssSha256, MESSAGE).expect("lanes serve the key");
                let requests = vec![Request::RsaSign(request); fill];
                let requests: Vec<_> = requests.iter().collect();
                for signature in run(&mut runner, &requests) {
                    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.spki_der());
                    public.verify(MESSAGE, &signature).expect("the signature verifies");
                }
                group.throughput(Throughput::Elements(fill as u64));
                let id = BenchmarkId::new(tier.kind().name(), format!("fill {fill} of {capacity}"));
                group.bench_function(id, |b| b.iter(|| run(&mut runner, &requests)));
            }
        }
        group.finish();
    }
}

criterion_group!(benches, sign);
criterion_main!(benches);
