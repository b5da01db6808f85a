//! The configuration of others, read by ours.

mod acceleration;
mod envoy;
mod errors;
mod hostile;
mod identities;
mod istio;
mod precedence;
mod provider;
mod samples;
mod support;
