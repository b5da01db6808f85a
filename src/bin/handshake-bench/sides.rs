//! Which implementation each side of a handshake uses, and where its configurations come from.

use crate::cli::{BaselineKind, TlsArgs};
use crate::rotation::Rotation;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ServerConfig};
use rustls_multibuffer::handshake::EngineConfig;
use std::sync::Arc;

/// Which implementation a server or a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// tokio-rustls with rustls' own aws-lc-rs provider.
    Baseline,
    /// This crate: its provider, on an engine.
    Multibuffer,
}

impl Provider {
    /// Both, in the order in which they take turns.
    pub(crate) const ALL: [Self; 2] = [Self::Baseline, Self::Multibuffer];

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Multibuffer => "multibuffer",
        }
    }

    /// The implementation that stands for this one: with `--baseline fixed`, both are this crate.
    pub(crate) fn compared(self, args: &TlsArgs) -> Self {
        match args.rotation.baseline {
            BaselineKind::Stock => self,
            BaselineKind::Fixed => Self::Multibuffer,
        }
    }

    /// Its provider for rustls.
    pub(crate) fn crypto(self) -> CryptoProvider {
        match self {
            Self::Baseline => aws_lc_rs::default_provider(),
            Self::Multibuffer => rustls_multibuffer::provider::default_provider(),
        }
    }
}

/// How a server gets its configurations.
#[derive(Clone)]
pub(crate) enum ServerTls {
    /// One for the whole run.
    Fixed(Provider, Arc<ServerConfig>),
    /// From identities that rotate.
    Rotating(Arc<Rotation>),
}

/// Who makes the handshakes. An engine has to be made on its own thread, so this says how.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) tls: ClientTls,
    /// For clients of this crate.
    pub(crate) engine: EngineConfig,
    /// How many handshakes there are at a time, at most.
    pub(crate) concurrency: usize,
}

/// How clients get their configurations.
#[derive(Clone)]
pub(crate) enum ClientTls {
    /// One for each identity, in turn, for the whole run; used by this implementation.
    Fixed(Provider, Vec<Arc<ClientConfig>>),
    /// From identities that rotate; the server trusts them or not.
    Rotating { rotation: Arc<Rotation>, is_trusted: bool },
}
