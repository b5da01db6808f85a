//! The kinds of connection, and what each asks of an engine.

use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, ProtocolVersion, SupportedProtocolVersion};
use rustls_multibuffer::handshake::{Op, Stats};
use std::collections::BTreeMap;

/// One kind of connection; each side has a certificate for a key of the same kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) kind: Kind,
    pub(crate) scheme: Scheme,
    pub(crate) group: Group,
    /// Whether the client shows a certificate.
    pub(crate) client_auth: bool,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    Ed25519,
}

/// How a handshake is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Pss,
    Pkcs1,
    P256,
    P384,
    Ed25519,
}

/// A key-exchange group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    X25519,
    Secp256r1,
    Secp384r1,
    X25519MlKem768,
}

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Case {
    /// RSA under every version and padding that go together, with and without client certificates: TLS 1.3
    /// has no PKCS#1 v1.5 signatures in handshakes (RFC 8446 §4.2.3).
    pub(crate) fn rsa(kind: Kind) -> impl Iterator<Item = Self> {
        let schemes = [(&TLS13, Scheme::Pss), (&TLS12, Scheme::Pss), (&TLS12, Scheme::Pkcs1)];
        schemes.into_iter().flat_map(move |(version, scheme)| {
            let case = Self { version, kind, scheme, group: Group::X25519, client_auth: false };
            [case, Self { client_auth: true, ..case }]
        })
    }

    /// Every curve's certificates on both sides, under every version, with every group that every peer has.
    pub(crate) fn curves() -> impl Iterator<Item = Self> {
        let kinds =
            [(Kind::P256, Scheme::P256), (Kind::P384, Scheme::P384), (Kind::Ed25519, Scheme::Ed25519)];
        let with_group = move |group| {
            kinds.into_iter().flat_map(move |(kind, scheme)| {
                [&TLS13, &TLS12].map(|version| Self { version, kind, scheme, group, client_auth: true })
            })
        };
        [Group::X25519, Group::Secp256r1, Group::Secp384r1].into_iter().flat_map(with_group)
    }

    /// The hybrid group, which TLS 1.3 alone has.
    pub(crate) fn hybrid() -> Self {
        let (kind, scheme) = (Kind::P256, Scheme::P256);
        Self { version: &TLS13, kind, scheme, group: Group::X25519MlKem768, client_auth: true }
    }

    /// Everything but the hybrid and the larger RSA keys.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::rsa(Kind::Rsa2048).chain(Self::curves())
    }

    pub(crate) fn is_tls13(self) -> bool {
        self.version.version == ProtocolVersion::TLSv1_3
    }

    /// The groups that both sides must know, the one to be used first: before TLS 1.3 a certificate's curve
    /// has to be among them (RFC 8422 §5.1).
    pub(crate) fn groups(self) -> impl Iterator<Item = Group> {
        let of_certificate = match self.kind {
            Kind::P256 => Some(Group::Secp256r1),
            Kind::P384 => Some(Group::Secp384r1),
            _ => None,
        };
        let further = of_certificate.filter(|group| !self.is_tls13() && *group != self.group);
        std::iter::once(self.group).chain(further)
    }

    /// What one handshake asks of our engine: a signature for our certificate, two verifications of theirs
    /// (it and the handshake), a key share and an agreement; of a server in TLS 1.3 these are one request.
    pub(crate) fn requests(self, side: Side) -> Requests {
        let (signs, verifies) = match side {
            Side::Server => (true, self.client_auth),
            Side::Client => (self.client_auth, true),
        };
        let mut requests = Requests::default();
        let [share, agreement] = self.group.ops();
        if side == Side::Client || !self.is_tls13() {
            requests.add(share, 1);
        }
        requests.add(agreement, 1);
        if signs {
            requests.add(self.kind.sign(), 1);
        }
        if verifies {
            requests.add(self.kind.verify(), 1);
            requests.add(self.kind.issuer().verify(), 1);
        }
        requests
    }
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384, Self::Ed25519];

    /// The kind of the key that signs its certificates.
    pub(crate) fn issuer(self) -> Self {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => Self::Rsa2048,
            curve => curve,
        }
    }

    fn sign(self) -> Op {
        match self {
            Self::Rsa2048 => Op::RsaSign2048,
            Self::Rsa3072 => Op::RsaSign3072,
            Self::Rsa4096 => Op::RsaSign4096,
            Self::P256 => Op::P256Sign,
            Self::P384 => Op::P384Sign,
            Self::Ed25519 => Op::Ed25519Sign,
        }
    }

    fn verify(self) -> Op {
        match self {
            Self::Rsa2048 => Op::RsaVerify2048,
            Self::Rsa3072 => Op::RsaVerify3072,
            Self::Rsa4096 => Op::RsaVerify4096,
            Self::P256 => Op::P256Verify,
            Self::P384 => Op::P384Verify,
            Self::Ed25519 => Op::Ed25519Verify,
        }
    }
}

impl Group {
    /// The group's name in rustls.
    pub(crate) fn name(self) -> NamedGroup {
        match self {
            Self::X25519 => NamedGroup::X25519,
            Self::Secp256r1 => NamedGroup::secp256r1,
            Self::Secp384r1 => NamedGroup::secp384r1,
            Self::X25519MlKem768 => NamedGroup::X25519MLKEM768,
        }
    }

    fn ops(self) -> [Op; 2] {
        match self {
            Self::X25519 | Self::X25519MlKem768 => [Op::X25519Keygen, Op::X25519],
            Self::Secp256r1 => [Op::P256Keygen, Op::P256Ecdh],
            Self::Secp384r1 => [Op::P384Keygen, Op::P384Ecdh],
        }
    }
}

/// How many requests of each operation left in batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests(BTreeMap<&'static str, u64>);

impl Requests {
    pub(crate) fn of(batches: &Stats) -> Self {
        let mut requests = Self::default();
        for op in batches.iter() {
            // Keys that are seen often have queues of their own; how often that is, is not the matter here.
            let kind = match op.op {
                Op::P256VerifyKnown => Op::P256Verify,
                Op::P384VerifyKnown => Op::P384Verify,
                other => other,
            };
            requests.add(kind, op.requests());
        }
        requests
    }

    fn add(&mut self, op: Op, count: u64) {
        if count > 0 {
            *self.0.entry(op.name()).or_default() += count;
        }
    }

    /// What came after `earlier`.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for (op, count) in &earlier.0 {
            *self.0.get_mut(op).expect("counters only grow") -= count;
        }
        self.0.retain(|_, count| *count > 0);
        self
    }
}
