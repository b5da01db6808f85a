//! The servers: one implementation, some threads, each with a runtime and a listener of its own.
//!
//! Both implementations share all of this code but the acceptor. A listener for each thread, and clients
//! spread over them evenly, is fairer than one listener that the threads fight for.

use crate::address::Address;
use crate::listen::{Connection, Listener, Shared};
use crate::placement::Placement;
use crate::scenario::Scenario;
use crate::sides::{Provider, ServerTls};
use crate::usage::Usage;
use rustls::HandshakeKind;
use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, LocalEngine, TlsAcceptor};
use rustls_multibuffer::spiffe;
use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::server::TlsStream;

/// How long a server may need to notice that its last client has gone.
const CLOSING: Duration = Duration::from_secs(20);
/// After a connection could not be accepted a thread pauses.
const PAUSE: Duration = Duration::from_millis(10);

/// The names of an engine's threads begin so.
const ENGINE_THREADS: &str = "tls-batch-";

/// What a server thread tells about itself, or what there is to tell about the engine that all of them share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// CPU time and context switches so far.
    pub(crate) usage: Usage,
    /// Handshakes that the server finished.
    pub(crate) finished: usize,
    /// Those of them that resumed a session.
    pub(crate) resumed: usize,
    /// Connections that ended before that.
    pub(crate) refused: usize,
    /// Handshakes whose first application byte was sent back.
    pub(crate) echoed: usize,
    /// Connections that are open now, handshakes included.
    pub(crate) open: usize,
    /// The engine's own statistics; the baseline has none, nor does a thread that shares its engine.
    pub(crate) engine: Option<EngineStats>,
}

/// A running server; stops when dropped.
pub(crate) struct Server {
    provider: Provider,
    threads: Vec<Thread>,
    targets: Vec<Address>,
    /// If the threads share one.
    engine: Option<Engine>,
}

struct Thread {
    samples: Option<mpsc::UnboundedSender<oneshot::Sender<Sample>>>,
    handle: Option<JoinHandle<()>>,
}

/// What a server thread needs to make its acceptor: an engine must be made on its own thread.
#[derive(Clone)]
struct Spec {
    provider: Provider,
    tls: ServerTls,
    engine: EngineConfig,
    shared: Option<Engine>,
}

impl Server {
    /// Starts `threads` server threads, each on a port of its own on the loopback interface.
    pub(crate) fn start(
        provider: Provider,
        scenario: &Scenario,
        threads: usize,
        placement: &Placement,
    ) -> Result<Self, String> {
        Self::with_listeners(provider, scenario, threads, placement, || {
            let listener = Listener::loopback()?;
            let asked = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
            Ok((listener.address(&asked)?, listener))
        })
    }

    /// Starts `threads` server threads that share this address.
    pub(crate) fn listen(
        provider: Provider,
        scenario: &Scenario,
        threads: usize,
        placement: &Placement,
        address: &Address,
    ) -> Result<Self, String> {
        let mut shared: Option<Shared> = None;
        Self::with_listeners(provider, scenario, threads, placement, || {
            let (listener, next) = Listener::on(address, shared.as_ref())?;
            shared = Some(next);
            let found = shared.as_ref().map_or_else(|| address.clone(), |s| s.address.clone());
            Ok((found, listener))
        })
    }

    fn with_listeners(
        provider: Provider,
        scenario: &Scenario,
        threads: usize,
        placement: &Placement,
        mut listener: impl FnMut() -> io::Result<(Address, Listener)>,
    ) -> Result<Self, String> {
        let engine = scenario.engine_config();
        let tls = scenario.server_tls(provider).map_err(|e| e.to_string())?;
        let shared = scenario.shared_engine(provider).map_err(|e| format!("cannot start an engine: {e}"))?;
        let spec = Spec { provider, tls, engine, shared: shared.clone() };
        let mut server = Self { provider, threads: Vec::new(), targets: Vec::new(), engine: shared };
        for index in 0..threads {
            server
                .add_thread(index, &spec, placement, &mut listener)
                .map_err(|e| format!("cannot start a server: {e}"))?;
        }
        Ok(server)
    }

    fn add_thread(
        &mut self,
        index: usize,
        spec: &Spec,
        placement: &Placement,
        listener: &mut impl FnMut() -> io::Result<(Address, Listener)>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (address, listener) = {
            let _within = runtime.enter();
            listener()?
        };
        self.targets.push(address);
        let (sender, receiver) = mpsc::unbounded_channel();
        let (spec, placement) = (spec.clone(), placement.clone());
        let handle = std::thread::Builder::new().name(format!("{}-{index}", spec.provider.name())).spawn(
            move || {
                placement.enter_server(index);
                LocalSet::new().block_on(&runtime, serve(listener, &spec, receiver));
            },
        )?;
        self.threads.push(Thread { samples: Some(sender), handle: Some(handle) });
        Ok(())
    }

    /// The implementation that this server runs.
    pub(crate) fn provider(&self) -> Provider {
        self.provider
    }

    /// Where the threads listen.
    pub(crate) fn targets(&self) -> &[Address] {
        &self.targets
    }

    /// The state of every thread, once all connections are closed.
    pub(crate) fn quiet_samples(&self) -> Result<Vec<Sample>, String> {
        let end = Instant::now() + CLOSING;
        loop {
            let samples = self.samples().ok_or("a server thread has died")?;
            match samples.iter().map(|s| s.open).sum::<usize>() {
                0 => return Ok(samples),
                open if Instant::now() > end => {
                    return Err(format!(
                        "the server still holds {open} connections {CLOSING:?} after the last"
                    ));
                }
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The state of every thread as it is now; `None` when one has died.
    pub(crate) fn samples(&self) -> Option<Vec<Sample>> {
        let ask = |thread: &Thread| {
            let (sender, receiver) = oneshot::channel();
            thread.samples.as_ref()?.send(sender).ok()?;
            receiver.blocking_recv().ok()
        };
        let mut samples: Vec<_> = self.threads.iter().map(ask).collect::<Option<_>>()?;
        if let Some(engine) = &self.engine {
            let usage = Usage::of_threads(ENGINE_THREADS).unwrap_or_default();
            samples.push(Sample { usage, engine: Some(engine.stats()), ..Sample::default() });
        }
        Some(samples)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            // A closed channel is the request to stop.
            thread.samples = None;
            if let Some(handle) = thread.handle.take()
                && handle.join().is_err()
            {
                eprintln!("handshake-bench: a server thread has panicked");
            }
        }
    }
}

#[derive(Clone)]
enum Acceptor {
    Baseline(tokio_rustls::TlsAcceptor),
    OnThread(TlsAcceptor<LocalEngine>),
    OnEngine(TlsAcceptor<Engine>),
    Rotating(spiffe::Acceptor<LocalEngine>),
}

impl Acceptor {
    fn new(spec: &Spec) -> Self {
        let engine = || LocalEngine::new(spec.engine.clone());
        match &spec.tls {
            ServerTls::Rotating(rotation) => Self::Rotating(rotation.acceptor(engine())),
            ServerTls::Fixed(Provider::Baseline, tls) => Self::Baseline(tls.clone().into()),
            ServerTls::Fixed(Provider::Multibuffer, tls) => match &spec.shared {
                Some(shared) => Self::OnEngine(TlsAcceptor::new(shared.clone(), tls.clone())),
                None => Self::OnThread(TlsAcceptor::new(engine(), tls.clone())),
            },
        }
    }

    async fn accept<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        io: IO,
    ) -> io::Result<TlsStream<IO>> {
        match self {
            Self::Baseline(acceptor) => acceptor.accept(io).await,
            Self::OnThread(acceptor) => acceptor.accept(io).await,
            Self::OnEngine(acceptor) => acceptor.accept(io).await,
            Self::Rotating(acceptor) => acceptor.accept(io).await.map(|(stream, _)| stream),
        }
    }

    fn stats(&self) -> Option<EngineStats> {
        match self {
            Self::Baseline(_) | Self::OnEngine(_) => None,
            Self::OnThread(acceptor) => Some(acceptor.engine().stats()),
            Self::Rotating(acceptor) => Some(acceptor.engine().stats()),
        }
    }
}

/// The counters of one thread.
#[derive(Default)]
struct Counts {
    finished: Cell<usize>,
    resumed: Cell<usize>,
    refused: Cell<usize>,
    echoed: Cell<usize>,
    open: Cell<usize>,
}

fn increment(count: &Cell<usize>) {
    count.set(count.get() + 1);
}

/// One thread's work: accepts connections and answers samples until the channel is closed.
async fn serve(
    listener: Listener,
    spec: &Spec,
    mut samples: mpsc::UnboundedReceiver<oneshot::Sender<Sample>>,
) {
    let acceptor = Acceptor::new(spec);
    let counts = Rc::new(Counts::default());
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (acceptor, counts) = (acceptor.clone(), counts.clone());
                increment(&counts.open);
                match connection {
                    Ok(Connection::Tcp(tcp)) => drop(spawn_local(connected(acceptor, tcp, counts))),
                    Ok(Connection::Unix(unix)) => drop(spawn_local(connected(acceptor, unix, counts))),
                    Err(_) => {
                        // The peer has gone, or there are no file descriptors left: others may end.
                        increment(&counts.refused);
                        counts.open.set(counts.open.get() - 1);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            request = samples.recv() => match request {
                // Nobody waits for an answer any more: then it does not matter.
                Some(reply) => drop(reply.send(sample(&acceptor, &counts))),
                None => return,
            },
        }
    }
}

fn sample(acceptor: &Acceptor, counts: &Counts) -> Sample {
    Sample {
        usage: Usage::of_this_thread(),
        finished: counts.finished.get(),
        resumed: counts.resumed.get(),
        refused: counts.refused.get(),
        echoed: counts.echoed.get(),
        open: counts.open.get(),
        engine: acceptor.stats(),
    }
}

async fn connected<IO>(acceptor: Acceptor, io: IO, counts: Rc<Counts>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match acceptor.accept(io).await {
        Ok(tls) => {
            increment(&counts.finished);
            if tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                increment(&counts.resumed);
            }
            // What goes wrong is the client's to report: it alone knows whether its handshake was to succeed.
            drop(echo(tls, &counts).await);
        }
        Err(_) => increment(&counts.refused),
    }
    counts.open.set(counts.open.get() - 1);
}

/// Sends back what comes until the connection ends.
async fn echo<IO: AsyncRead + AsyncWrite + Unpin>(mut tls: TlsStream<IO>, counts: &Counts) -> io::Result<()> {
    let byte = tls.read_u8().await?;
    tls.write_u8(byte).await?;
    tls.flush().await?;
    increment(&counts.echoed);
    let mut buffer = [0; 1024];
    loop {
        match tls.read(&mut buffer).await? {
            0 => return tls.shutdown().await,
            read => {
                tls.write_all(&buffer[..read]).await?;
                tls.flush().await?;
            }
        }
    }
}
