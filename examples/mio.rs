//! A TLS server on mio that batches its handshakes' operations: one thread, rustls called from readiness
//! handlers, no async runtime. It sends back whatever clients send.
//!
//! ```text
//! cargo run --release --example mio -- 127.0.0.1:8443 chain.pem key.pem [--stock] [--handshakes N]
//! ```
//!
//! `--stock` serves with rustls' own provider and without batches; after N handshakes the program says what
//! one has cost, and ends. Both against the same 64 clients, for RSA-2048 or with `--key p256`:
//!
//! ```text
//! cargo build --release --features bench --bin handshake-bench --example mio && cd target/release &&
//! ./handshake-bench identities mio-keys --key rsa2048 && for i in 1 2 3; do for how in "" --stock; do
//!   examples/mio 127.0.0.1:8443 mio-keys/server.pem mio-keys/server-key.pem --handshakes 20000 $how &
//!   sleep 1; ./handshake-bench connect --to 127.0.0.1:8443 --identities-from mio-keys --concurrency 64 \
//!     --handshakes 20000 --duration 600; wait; done; done
//! ```

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use rustls_multibuffer::handshake::{Batcher, EngineConfig, EngineStats, Parked, Step};
use rustls_multibuffer::provider::default_provider;
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LISTENER: Token = Token(0);

/// What a call of rustls on a fiber gives back.
type Processed = (ServerConnection, Result<(), rustls::Error>);

struct Session {
    socket: TcpStream,
    /// `None` while it is parked.
    tls: Option<ServerConnection>,
    parked: Option<Parked<Token, Processed>>,
    has_shaken_hands: bool,
}

/// What became of a session.
#[derive(PartialEq)]
enum Outcome {
    /// Its socket, or its batch, has to bring something.
    Waits,
    Ended,
}

pub(crate) struct Server {
    poll: Poll,
    listener: TcpListener,
    config: Arc<ServerConfig>,
    /// `None`: stock rustls.
    batcher: Option<Batcher<Token>>,
    handshake_timeout: Duration,
    sessions: HashMap<Token, Session>,
    /// When handshakes have taken too long, in the order in which they began.
    deadlines: VecDeque<(Instant, Token)>,
    /// When to try again what no event will ask for.
    accept_again: Option<Instant>,
    next: usize,
    pub(crate) handshakes: u64,
}

impl Server {
    pub(crate) fn new(
        listener: std::net::TcpListener,
        config: ServerConfig,
        batcher: Option<Batcher<Token>>,
        handshake_timeout: Duration,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (poll, mut listener) = (Poll::new()?, TcpListener::from_std(listener));
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            config: Arc::new(config),
            batcher,
            handshake_timeout,
            sessions: HashMap::new(),
            deadlines: VecDeque::new(),
            accept_again: None,
            next: LISTENER.0 + 1,
            handshakes: 0,
        })
    }

    /// Serves as long as `goes_on` says so, which is asked after every round of events.
    pub(crate) fn run(&mut self, goes_on: impl Fn(&Self) -> bool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while goes_on(self) {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    token => self.serve(token),
                }
            }
            if self.accept_again.take_if(|at| *at <= Instant::now()).is_some() {
                self.accept()?;
            }
            self.run_batches();
            self.end_late();
        }
        Ok(())
    }

    /// How long to wait for events: not at all while a request waits for nothing but a look at the network.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let deadline = self.deadlines.front().map(|(at, _)| at.saturating_duration_since(now));
        let batch = self.batcher.as_ref().and_then(|batcher| batcher.timeout(now));
        let accept = self.accept_again.map(|at| at.saturating_duration_since(now));
        deadline.into_iter().chain(batch).chain(accept).min()
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => {
                    // Out of descriptors, most likely. No event will tell of who waits already.
                    eprintln!("cannot accept: {e}");
                    self.accept_again = Some(Instant::now() + Duration::from_millis(100));
                    return Ok(());
                }
            };
            let token = Token(self.next);
            self.next += 1;
            self.poll.registry().register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
            let tls = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
            let session = Session { socket, tls: Some(tls), parked: None, has_shaken_hands: false };
            self.sessions.insert(token, session);
            self.deadlines.push_back((Instant::now() + self.handshake_timeout, token));
        }
    }

    /// Serves a session whose socket may have become ready, or whose connection is back.
    fn serve(&mut self, token: Token) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        let outcome = session.serve(token, self.batcher.as_ref(), &mut self.handshakes);
        if outcome.is_ok_and(|outcome| outcome == Outcome::Waits) {
            return;
        }
        self.sessions.remove(&token);
    }

    /// Runs the batches that are due, and goes on with the sessions whose operations were in them.
    fn run_batches(&mut self) {
        let Some(batcher) = self.batcher.clone() else { return };
        loop {
            let answered = batcher.turn(Instant::now());
            if answered.is_empty() {
                return;
            }
            answered.into_iter().for_each(|token| self.serve(token));
        }
    }

    /// Ends handshakes that have taken too long, parked or not.
    fn end_late(&mut self) {
        let now = Instant::now();
        while let Some((_, token)) = self.deadlines.front().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_front();
            if self.sessions.get(&token).is_some_and(|session| !session.has_shaken_hands) {
                self.sessions.remove(&token);
            }
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn stats(&self) -> Option<EngineStats> {
        self.batcher.as_ref().map(Batcher::stats)
    }
}

impl Session {
    /// Reads, processes and writes until the session waits for something.
    fn serve(
        &mut self,
        token: Token,
        batcher: Option<&Batcher<Token>>,
        handshakes: &mut u64,
    ) -> io::Result<Outcome> {
        if let Some(parked) = self.parked.take() {
            self.advance(parked.resume())?;
        }
        // A socket waits while its session is parked: it is read here as soon as the connection is back,
        // whatever events came meanwhile.
        while let Some(tls) = &mut self.tls {
            if !self.has_shaken_hands && !tls.is_handshaking() {
                self.has_shaken_hands = true;
                *handshakes += 1;
            }
            let outcome = echo(tls, &mut self.socket)?;
            // What cannot be answered need not be read.
            if outcome == Outcome::Ended || tls.wants_write() {
                return Ok(outcome);
            }
            match tls.read_tls(&mut self.socket) {
                Ok(0) => return Ok(Outcome::Ended),
                Ok(_) => self.process(token, batcher)?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(Outcome::Waits)
    }

    // begin: process
    /// Has rustls process what was read: on a fiber, as long as that may need a batch.
    fn process(&mut self, token: Token, batcher: Option<&Batcher<Token>>) -> io::Result<()> {
        let Some(mut tls) = self.tls.take() else { return Ok(()) };
        let batcher = batcher.filter(|_| tls.is_handshaking());
        let process = move || {
            let result = tls.process_new_packets().map(drop);
            (tls, result)
        };
        self.advance(match batcher {
            Some(batcher) => batcher.start(token, process),
            None => Step::Done(process()),
        })
    }

    /// Takes the connection back, or keeps what stands for it while it waits.
    fn advance(&mut self, mut step: Step<Token, Processed>) -> io::Result<()> {
        loop {
            match step {
                Step::Done((mut tls, result)) => {
                    if let Err(e) = result {
                        // The peer is told why, if its socket takes that.
                        tls.write_tls(&mut self.socket)?;
                        return Err(io::Error::new(ErrorKind::InvalidData, e));
                    }
                    self.tls = Some(tls);
                    return Ok(());
                }
                Step::Parked(parked) => {
                    self.parked = Some(parked);
                    return Ok(());
                }
                // There is no executor here: whoever called `handshake::wait` has to do without.
                Step::Awaits(awaiting) => step = awaiting.resume(),
                Step::Failed(e) => return Err(e.into()),
            }
        }
    }
    // end: process
}

/// Sends back what has come, as far as the socket takes it.
fn echo(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<Outcome> {
    let mut buffer = [0; 16 * 1024];
    loop {
        while tls.wants_write() {
            match tls.write_tls(socket) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Outcome::Waits),
                written => written?,
            };
        }
        match tls.reader().read(&mut buffer) {
            Ok(0) => {
                tls.send_close_notify();
                tls.write_tls(socket)?;
                return Ok(Outcome::Ended);
            }
            Ok(bytes) => tls.writer().write_all(&buffer[..bytes])?,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Outcome::Waits),
            Err(e) => return Err(e),
        }
    }
}

/// CPU time of the main thread, where the system tells it.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut positional, mut stock, mut handshakes) = (Vec::new(), false, u64::MAX);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--stock" => stock = true,
            "--handshakes" => handshakes = arguments.next().ok_or("how many?")?.parse()?,
            _ => positional.push(argument),
        }
    }
    let [address, chain, key] = &positional[..] else {
        return Err("usage: mio ADDRESS CHAIN KEY [--stock] [--handshakes N]".into());
    };
    let provider = if stock { aws_lc_rs::default_provider() } else { default_provider() };
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_file(key)?,
        )?;
    let batcher = (!stock).then(|| Batcher::new(EngineConfig::default()));
    let listener = std::net::TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut server = Server::new(listener, config, batcher, Duration::from_secs(10))?;
    let before = cpu_time();
    server.run(|server| server.handshakes < handshakes || server.open() > 0)?;
    println!("{} handshakes", server.handshakes);
    if let (Some(before), Some(after)) = (before, cpu_time()) {
        println!("{:.1} µs of CPU each", (after - before).as_secs_f64() * 1e6 / server.handshakes as f64);
    }
    for op in server.stats().iter().flat_map(|stats| stats.batches.iter()).filter(|op| op.batches() > 0) {
        println!("  {}: {:.2} in a batch", op.op.name(), op.mean_fill());
    }
    Ok(())
}
