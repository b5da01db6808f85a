//! The configuration of others, read by ours.

mod acceleration;
mod combinations;
mod envoy;
mod errors;
mod hostile;
mod istio;
mod precedence;
mod provider;
mod samples;
mod sources;
mod support;
