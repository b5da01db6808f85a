//! The servers: one implementation, some threads, each with a runtime and a listener of its own.
//!
//! Both implementations share all of this code but the acceptor. A listener for each thread, and clients spread
//! over them evenly, is fairer than one listener that the threads fight for.

use crate::placement::Placement;
use crate::rotation::Rotation;
use crate::scenario::{Provider, Scenario};
use rustix::time::{ClockId, clock_gettime};
use rustls::ServerConfig;
use rustls_multibuffer::handshake::{EngineConfig, EngineStats, LocalEngine, TlsAcceptor};
use rustls_multibuffer::spiffe;
use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_rustls::server::TlsStream;

/// How long a server may need to notice that its last client has gone.
const CLOSING: Duration = Duration::from_secs(5);

/// What a server thread tells about itself.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// CPU time of the thread so far.
    pub(crate) cpu: Duration,
    /// Handshakes whose first application byte was sent back.
    pub(crate) echoed: usize,
    /// Connections that are open now, handshakes included.
    open: usize,
    /// The engine's own statistics; the baseline has none.
    pub(crate) engine: Option<EngineStats>,
}

/// A running server; stops when dropped.
pub(crate) struct Server {
    provider: Provider,
    threads: Vec<Thread>,
    targets: Vec<SocketAddr>,
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
}

/// How a server gets its configurations.
#[derive(Clone)]
pub(crate) enum ServerTls {
    /// One for the whole run.
    Fixed(Arc<ServerConfig>),
    /// From identities that rotate.
    Rotating(Arc<Rotation>),
}

impl Server {
    /// Starts `threads` server threads.
    pub(crate) fn start(
        provider: Provider,
        scenario: &Scenario,
        threads: usize,
        concurrency: usize,
        placement: &Placement,
    ) -> Result<Self, String> {
        let engine = scenario.engine_config(concurrency);
        let tls = scenario.server_tls(provider).map_err(|e| e.to_string())?;
        let spec = Spec { provider, tls, engine };
        let mut server = Self { provider, threads: Vec::new(), targets: Vec::new() };
        for index in 0..threads {
            server.add_thread(index, &spec, placement).map_err(|e| format!("cannot start a server: {e}"))?;
        }
        Ok(server)
    }

    fn add_thread(&mut self, index: usize, spec: &Spec, placement: &Placement) -> io::Result<()> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        self.targets.push(listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let (spec, placement) = (spec.clone(), placement.clone());
        let handle = std::thread::Builder::new().name(format!("{}-{index}", spec.provider.name())).spawn(
            move || {
                placement.enter_server(index);
                let served = LocalSet::new().block_on(&runtime, serve(listener, &spec, receiver));
                served.expect("the listener works as long as the process has file descriptors");
            },
        )?;
        self.threads.push(Thread { samples: Some(sender), handle: Some(handle) });
        Ok(())
    }

    /// The implementation.
    pub(crate) fn provider(&self) -> Provider {
        self.provider
    }

    /// Where the threads listen.
    pub(crate) fn targets(&self) -> &[SocketAddr] {
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

    fn samples(&self) -> Option<Vec<Sample>> {
        let ask = |thread: &Thread| {
            let (sender, receiver) = oneshot::channel();
            thread.samples.as_ref()?.send(sender).ok()?;
            receiver.blocking_recv().ok()
        };
        self.threads.iter().map(ask).collect()
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
    Multibuffer(TlsAcceptor<LocalEngine>),
    Rotating(spiffe::Acceptor<LocalEngine>),
}

impl Acceptor {
    fn new(spec: &Spec) -> Self {
        let engine = || LocalEngine::new(spec.engine.clone());
        match (&spec.tls, spec.provider) {
            (ServerTls::Rotating(rotation), _) => Self::Rotating(rotation.acceptor(engine())),
            (ServerTls::Fixed(tls), Provider::Baseline) => Self::Baseline(tls.clone().into()),
            (ServerTls::Fixed(tls), Provider::Multibuffer) => {
                Self::Multibuffer(TlsAcceptor::new(engine(), tls.clone()))
            }
        }
    }

    async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        match self {
            Self::Baseline(acceptor) => acceptor.accept(tcp).await,
            Self::Multibuffer(acceptor) => acceptor.accept(tcp).await,
            Self::Rotating(acceptor) => acceptor.accept(tcp).await.map(|(stream, _)| stream),
        }
    }

    fn stats(&self) -> Option<EngineStats> {
        match self {
            Self::Baseline(_) => None,
            Self::Multibuffer(acceptor) => Some(acceptor.engine().stats()),
            Self::Rotating(acceptor) => Some(acceptor.engine().stats()),
        }
    }
}

/// The counters of one thread.
#[derive(Default)]
struct Counts {
    echoed: Cell<usize>,
    open: Cell<usize>,
}

/// One thread's work: accepts connections and answers samples until the channel is closed.
async fn serve(
    listener: std::net::TcpListener,
    spec: &Spec,
    mut samples: mpsc::UnboundedReceiver<oneshot::Sender<Sample>>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = Acceptor::new(spec);
    let counts = Rc::new(Counts::default());
    loop {
        tokio::select! {
            connection = listener.accept() => {
                let (tcp, _) = connection?;
                counts.open.set(counts.open.get() + 1);
                tokio::task::spawn_local(connected(acceptor.clone(), tcp, counts.clone()));
            }
            request = samples.recv() => match request {
                // Nobody waits for an answer any more: then it does not matter.
                Some(reply) => drop(reply.send(sample(&acceptor, &counts))),
                None => return Ok(()),
            },
        }
    }
}

fn sample(acceptor: &Acceptor, counts: &Counts) -> Sample {
    let cpu = clock_gettime(ClockId::ThreadCPUTime);
    Sample {
        cpu: Duration::try_from(cpu).expect("CPU time is not negative"),
        echoed: counts.echoed.get(),
        open: counts.open.get(),
        engine: acceptor.stats(),
    }
}

async fn connected(acceptor: Acceptor, tcp: TcpStream, counts: Rc<Counts>) {
    // What goes wrong is the client's to report: it alone knows whether its handshake was to succeed.
    drop(echo(&acceptor, tcp, &counts).await);
    counts.open.set(counts.open.get() - 1);
}

/// Sends the first byte back and waits for the end of the connection.
async fn echo(acceptor: &Acceptor, tcp: TcpStream, counts: &Counts) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut tls = acceptor.accept(tcp).await?;
    let byte = tls.read_u8().await?;
    tls.write_u8(byte).await?;
    tls.flush().await?;
    counts.echoed.set(counts.echoed.get() + 1);
    tls.read_u8().await?;
    Ok(())
}
