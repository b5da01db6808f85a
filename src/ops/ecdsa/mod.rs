//! ECDSA (FIPS 186-5 §6) over P-256 and P-384.

mod encode;
mod key;
mod known;
mod nonce;
mod sign;
#[cfg(test)]
mod tests;
#[cfg(all(test, lanes, target_os = "linux"))]
pub(super) mod traces;
mod verify;

pub use key::{EcdsaPrivateKey, SignRequest};
pub use known::{KnownKeys, known_keys, limit_table_bytes};
pub use verify::{VerifyRequest, verify};

pub(super) use known::forget;
pub(super) use sign::sign_batch;
pub(super) use verify::{count, verify_batch};
