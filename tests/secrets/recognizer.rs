//! Private keys that nobody but the child has.

use crate::memory::Memory;
use aws_lc_rs::agreement::{self, PrivateKey, X25519};
use std::collections::{HashMap, HashSet};

/// Recognizes private keys by their public ones, which it computes once for each candidate.
pub(crate) struct Recognizer {
    algorithm: &'static agreement::Algorithm,
    pub(crate) public: HashSet<Vec<u8>>,
    candidates: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Recognizer {
    pub(crate) fn new(algorithm: &'static agreement::Algorithm, public: Vec<Vec<u8>>) -> Self {
        Self { algorithm, public: public.into_iter().collect(), candidates: HashMap::new() }
    }

    /// In either order of bytes.
    fn recognizes(&mut self, window: &[u8]) -> bool {
        // X25519's limbs are in the order of its bytes.
        self.is_private(window) || self.algorithm != &X25519 && self.is_private(&reversed(window))
    }

    fn is_private(&mut self, candidate: &[u8]) -> bool {
        let public = self.candidates.entry(candidate.to_vec()).or_insert_with(|| {
            let key = PrivateKey::from_private_key(self.algorithm, candidate).ok()?;
            key.compute_public_key().ok().map(|public| public.as_ref().to_vec())
        });
        public.as_ref().is_some_and(|public| self.public.contains(public))
    }

    pub(crate) fn search(&mut self, memory: &Memory) -> Vec<String> {
        memory.recognize(32, |window| self.recognizes(window))
    }
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}
