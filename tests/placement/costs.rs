//! What handshakes cost, from `benches/record`.

use rustls_multibuffer::internals::ops::Op;

/// What requests of one operation cost, in nanoseconds, and how many fill all lanes.
pub(crate) struct OpCost {
    pub(crate) op: Op,
    /// One request through aws-lc-rs.
    pub(crate) scalar: u64,
    /// How many times as fast as aws-lc-rs a batch is, in hundredths; `speed[n - 1]` with `n` requests, and
    /// 100 where aws-lc-rs has it.
    speed: &'static [u64],
}

/// Tier `avx2-fma` on Zen 3: aws-lc-rs' time and the ratios in `ops.jsonl`, and, for operations that are
/// split over lanes, the ratios in `split.txt` with fewer than four requests.
///
/// A whole key exchange with X25519 costs what its key share and its agreement do, which run one after the
/// other: 12.5 and 37.4 us, in lanes with the ratios 100, 125, 156, 197 and 100, 109, 155, 206.
pub(crate) const OPS: [OpCost; 5] = [
    OpCost { op: Op::RsaSign2048, scalar: 652_000, speed: &[100, 230] },
    OpCost { op: Op::RsaVerify2048, scalar: 22_400, speed: &[100, 136, 193, 239] },
    OpCost { op: Op::P256Sign, scalar: 18_000, speed: &[113, 154, 160, 191] },
    OpCost { op: Op::P256VerifyKnown, scalar: 60_000, speed: &[365, 464, 464, 575] },
    OpCost { op: Op::X25519, scalar: 49_900, speed: &[100, 113, 155, 204] },
];

impl OpCost {
    pub(crate) fn of(op: Op) -> &'static Self {
        OPS.iter().find(|cost| cost.op == op).expect("a handshake's operation")
    }

    pub(crate) fn capacity(&self) -> usize {
        self.speed.len()
    }

    /// What a batch costs.
    pub(crate) fn batch(&self, fill: usize) -> u64 {
        fill as u64 * self.scalar * 100 / self.speed[fill - 1]
    }

    /// What a full batch saves of a request that would else be alone: nothing if lanes pay for one.
    pub(crate) fn savings(&self) -> u64 {
        let is_in_lanes_alone = self.speed[0] > 100;
        if is_in_lanes_alone { 0 } else { self.scalar - self.batch(self.capacity()) / self.capacity() as u64 }
    }
}

/// A part of a handshake.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// Nanoseconds on the thread: sockets, records, hashes, parsing.
    Work(u64),
    Op(Op),
    /// The peer's turn.
    Network,
}

/// A server's half of a mutual TLS 1.3 handshake with X25519, peers and authorities known.
pub(crate) type Cost = &'static [Part];

pub(crate) const RSA: Cost = &handshake(Op::RsaSign2048, Op::RsaVerify2048);
pub(crate) const P256: Cost = &handshake(Op::P256Sign, Op::P256VerifyKnown);

/// What is not operations is 192 us: with stock rustls a handshake takes 370 us with P-256 and 926 us with
/// RSA-2048 (`default.txt`), of which operations are 187 and 747; the engine and its fibers add 12.
const fn handshake(sign: Op, verify: Op) -> [Part; 9] {
    use Part::{Network, Op as Operation, Work};
    [
        Work(120_000),
        Operation(Op::X25519),
        Operation(sign),
        Work(10_000),
        Network,
        Work(42_000),
        Operation(verify),
        Operation(verify),
        Work(20_000),
    ]
}

/// What the engine adds to what stock rustls does.
const ENGINE: u64 = 12_000;

/// What a handshake costs with stock rustls.
pub(crate) fn stock(cost: Cost) -> u64 {
    let part = |part: &Part| match part {
        Part::Work(nanos) => *nanos,
        Part::Op(op) => OpCost::of(*op).scalar,
        Part::Network => 0,
    };
    cost.iter().map(part).sum::<u64>() - ENGINE
}
