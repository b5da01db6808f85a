//! The configuration of others, read by ours.

mod acceleration;
mod envoy;
mod errors;
mod hostile;
mod istio;
mod precedence;
mod provider;
mod samples;
mod sources;
mod support;
