//! The process from its start to its end.

use crate::admin::{self, Admin};
use crate::cli::{Cli, Format};
use crate::config::{Config, Explanation, Loaded};
use crate::counters::{Counters, upkeep};
use crate::drain::drain;
use crate::restart::handover::{self, Inherited, Overrides, Parent};
use crate::restart::program;
use crate::restart::retire::{Sender, retire};
use crate::restart::successor::{self, Relaunch, Successor};
use crate::signals::{Meaning, Signals};
use crate::sockets::{self, ListenSocket};
use crate::state::{Phase, State};
use crate::supervise::supervision::{Event, Supervision};
use crate::tls::{Identities, start_identities};
use crate::worker::Workers;
use crate::{engine_metric, metric, notify};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use rustix::process::{Resource, getpid, getrlimit, setrlimit};
use rustls_multibuffer::config::Mode;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Upper bounds of the buckets of handshake latencies, in seconds.
const LATENCIES: [f64; 12] = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0, 10.0];

/// How often a process that has lost its parent tries to listen where that did, and how long it waits in
/// between.
const ORPHANS_TRIES: u32 = 200;
const ORPHANS_WAIT: Duration = Duration::from_millis(50);

/// Reads the configuration, and says whether it is good, or what is in effect.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(cli: &Cli) -> Result<(), String> {
    let Loaded { explanation, .. } = load(cli)?;
    if let Some(format) = cli.explain {
        return explain(&explanation, format);
    }
    explanation.warnings.iter().for_each(|warning| println!("warning: {warning}"));
    let verdict = match explanation.warnings.len() {
        0 => "good".to_owned(),
        1 => "accepted, with a warning".to_owned(),
        n => format!("accepted, with {n} warnings"),
    };
    println!("{}: {verdict}", cli.config.display());
    Ok(())
}

/// The configuration that the command line names.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn load(cli: &Cli) -> Result<Loaded, String> {
    let mode = if cli.lenient { Mode::Lenient } else { Mode::Strict };
    Loaded::load(&cli.config, mode)
}

/// Carries connections until the end. The log has been started.
///
/// # Errors
/// What keeps the process from running.
pub(crate) fn run(cli: &Cli) -> Result<(), String> {
    let program = program::path()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let entered = runtime.enter();
    let supervision = if cli.supervised { Supervision::from_stdout()? } else { Supervision::default() };
    // Before anything else that takes time: signals that come meanwhile are not lost.
    let signals = Signals::new(supervision.clone())?;
    let inherited = if cli.restart_epoch > 0 { handover::receive()? } else { None };
    let parent = inherited.as_ref().and_then(|inherited| inherited.parent.try_clone().ok());
    let result = configure(cli).and_then(|(config, recorder)| {
        let configured_level = log::max_level();
        let relaunch = Relaunch { program, supervision, configured_level };
        drop(entered);
        runtime.block_on(live(config, cli.restart_epoch, inherited, recorder, signals, relaunch))
    });
    if let (Err(reason), Some(parent)) = (&result, parent) {
        handover::say_failed(&parent, reason);
    }
    // Names that are being looked up are not waited for.
    runtime.shutdown_background();
    result
}

/// The configuration, and what records metrics from now on.
fn configure(cli: &Cli) -> Result<(Config, PrometheusHandle), String> {
    let Loaded { config, explanation } = load(cli)?;
    log::set_max_level(cli.log_level.unwrap_or(config.log.level));
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCIES)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| e.to_string())?;
    metric::describe();
    engine_metric::describe();
    explanation.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    if !explanation.passed_over.is_empty() {
        let fields: Vec<_> = explanation.passed_over.iter().map(ToString::to_string).collect();
        log::debug!("passed over, as they mean nothing to this program: {}", fields.join(", "));
    }
    if let Some(why) = explanation.why_not_accelerated() {
        log::info!("operations are not accelerated: {why}");
    }
    raise_descriptor_limit();
    Ok((config, recorder))
}

fn explain(explanation: &Explanation, format: Format) -> Result<(), String> {
    let text = match format {
        Format::Text => explanation.to_string(),
        Format::Json => serde_json::to_string_pretty(explanation).map_err(|e| e.to_string())? + "\n",
    };
    // Whoever has read enough may stop reading.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// As many open files as the system lets us have.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        log::warn!("the limit of open files stays as it is: {e}");
    }
}

async fn live(
    config: Config,
    epoch: u64,
    inherited: Option<Inherited>,
    recorder: PrometheusHandle,
    mut signals: Signals,
    relaunch: Relaunch,
) -> Result<(), String> {
    let supervision = &relaunch.supervision;
    if epoch == 0 {
        // Of the others the one before says so, when they do accept.
        supervision.tell(Event::Accepts(getpid()));
    }
    let state = Arc::new(State::new(config, epoch));
    let started = Running::start(state, inherited, recorder, &mut signals, supervision).await?;
    let Some(mut running) = started else { return Ok(()) };
    match until_end(&running.state, &mut signals, &relaunch, running.admin.as_ref()).await {
        Some(successor) => running.retire(successor, &mut signals, &relaunch).await,
        None => {
            running.end_workers();
            Ok(())
        }
    }
}

/// A process that accepts connections.
struct Running {
    state: Arc<State>,
    workers: Workers,
    counters: Arc<Counters>,
    /// Ends with the process before.
    ancestors: Option<JoinHandle<()>>,
    admin: Option<admin::Listener>,
    /// Answers the admin endpoint's requests.
    serving: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts to accept, with the sockets of the process before if there was one. None: a signal has ended
    /// the process before it did.
    async fn start(
        state: Arc<State>,
        inherited: Option<Inherited>,
        recorder: PrometheusHandle,
        signals: &mut Signals,
        supervision: &Supervision,
    ) -> Result<Option<Self>, String> {
        let is_orphan = state.epoch > 0 && inherited.is_none();
        let (sockets, admin_socket, mut parent) = match inherited {
            Some(Inherited { sockets, admin, overrides, parent }) => {
                overrides.apply(&state);
                (sockets, admin, Some(Parent::new(parent).map_err(|e| e.to_string())?))
            }
            None => (Vec::new(), None, None),
        };
        let identities = start_identities(&state.config)?;
        let (sockets, admin) = bind(&state, is_orphan, sockets, admin_socket).await?;
        if let Some(parent) = &mut parent {
            // It goes on accepting until we can, unless it ends.
            tokio::select! {
                () = all_ready(&identities) => {}
                () = parent.end() => {}
                () = signals.end() => return Ok(None),
            }
        }
        let workers = Workers::start(&state, &identities, sockets).map_err(|e| e.to_string())?;
        tokio::spawn(upkeep(recorder.clone()));
        let counters = Arc::new(Counters::new(recorder));
        let ancestors = match parent {
            Some(parent) => take_over(parent, &state, &counters, supervision).await,
            None => None,
        };
        if is_orphan {
            supervision.tell(Event::Accepts(getpid()));
        }
        let endpoint = Admin::new(state.clone(), identities.clone(), workers.queries(), counters.clone());
        let serving = admin.as_ref().map(|listener| listener.serve(endpoint)).transpose()?;
        tokio::spawn(note_ready(state.clone(), identities, supervision.clone()));
        Ok(Some(Self { state, workers, counters, ancestors, admin, serving }))
    }

    /// Lets connections finish while another process accepts.
    async fn retire(
        mut self,
        mut successor: Successor,
        signals: &mut Signals,
        relaunch: &Relaunch,
    ) -> Result<(), String> {
        // The other process serves the admin endpoint, and if it fails, a third must be able to bind its
        // socket.
        self.serving.iter().for_each(|task| task.abort());
        drop(self.admin.take());
        relaunch.supervision.tell(Event::Accepts(successor.id()));
        let overrides = Overrides::of(&self.state, relaunch.configured_level);
        successor.override_again(overrides, self.state.active()).await;
        let workers = self.workers.queries();
        let mut sender = Sender { successor: &mut successor, counters: &self.counters, workers };
        let ancestors = self.ancestors.take();
        let result = retire(&self.state, signals, &mut sender, ancestors, &relaunch.supervision).await;
        // Those that are cut now count, too. The engines end with the workers.
        let stats = sender.workers.stats().await;
        self.end_workers();
        successor.tell(self.counters.increments(&stats), self.state.active()).await;
        result
    }

    fn end_workers(&mut self) {
        self.state.advance(Phase::Ended);
        log::info!(connections = self.state.active(); "ending");
        self.workers.join();
    }
}

/// The listen sockets and the admin endpoint's: those of the process before, as far as it had them.
async fn bind(
    state: &State,
    is_orphan: bool,
    mut sockets: Vec<ListenSocket>,
    mut admin: Option<OwnedFd>,
) -> Result<(Vec<ListenSocket>, Option<admin::Listener>), String> {
    let bind = || sockets::bind(&state.config, std::mem::take(&mut sockets));
    let sockets = bind_patiently(is_orphan, bind).await?;
    *state.sockets() =
        sockets.iter().map(|s| s.try_clone()).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let bind = || admin::Listener::bind(state.config.admin.as_ref(), admin.take());
    Ok((sockets, bind_patiently(is_orphan, bind).await?))
}

/// Binds sockets: when the process before has just been killed, the system may not have closed its sockets
/// yet.
async fn bind_patiently<T>(
    is_orphan: bool,
    mut bind: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let mut tries = if is_orphan { ORPHANS_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind() {
            Err(_) if tries > 0 => tokio::time::sleep(ORPHANS_WAIT).await,
            result => return result,
        }
    }
}

/// Says when all identities are there.
async fn note_ready(state: Arc<State>, identities: Identities, supervision: Supervision) {
    all_ready(&identities).await;
    state.is_started.store(true, Relaxed);
    log::info!(epoch = state.epoch; "ready");
    supervision.tell(Event::Ready(getpid()));
    if state.epoch == 0 {
        // Of the others the one before says so: until then that is the main process.
        notify::ready();
    }
}

async fn all_ready(identities: &Identities) {
    for identity in identities.values() {
        identity.ready().await;
    }
}

/// Tells the process before that we accept, and goes on with its counters. None: it has gone.
///
/// The task that comes back ends with that process.
async fn take_over(
    mut parent: Parent,
    state: &Arc<State>,
    counters: &Arc<Counters>,
    supervision: &Supervision,
) -> Option<JoinHandle<()>> {
    let said = parent.say_ready().await;
    if let Err(e) = &said {
        log::warn!("the process before has gone ({e}), this one goes on alone");
        supervision.tell(Event::Accepts(getpid()));
    }
    said.ok()?;
    let (state, counters, supervision) = (state.clone(), counters.clone(), supervision.clone());
    Some(tokio::spawn(async move {
        while let Some(progress) = parent.progress().await {
            counters.add(progress.counters);
            progress.overrides.iter().for_each(|overrides| overrides.apply(&state));
        }
        if state.phase() < Phase::HandedOver {
            // It may have ended before it could say so.
            supervision.tell(Event::Accepts(getpid()));
        }
    }))
}

/// Waits for the end of accepting and of connections. Some: another process accepts now.
async fn until_end(
    state: &Arc<State>,
    signals: &mut Signals,
    relaunch: &Relaunch,
    admin: Option<&admin::Listener>,
) -> Option<Successor> {
    let mut phases = state.phases();
    loop {
        tokio::select! {
            _ = phases.wait_for(|phase| *phase == Phase::Ended) => return None,
            signal = signals.next() => {
                if signal == Meaning::End {
                    drain(state, signals).await;
                    return None;
                }
            }
        }
        tokio::select! {
            // Who accepts already has taken over.
            biased;
            successor = attempt(state, relaunch, admin) => {
                if successor.is_some() {
                    return successor;
                }
            }
            () = signals.end() => {
                drain(state, signals).await;
                return None;
            }
            _ = phases.wait_for(|phase| *phase != Phase::Running) => {
                log::warn!("no hot restart while draining");
            }
        }
    }
}

/// A hot restart. None: it failed, and nothing has changed.
async fn attempt(state: &State, relaunch: &Relaunch, admin: Option<&admin::Listener>) -> Option<Successor> {
    if state.phase() != Phase::Running {
        log::warn!("no hot restart while draining");
        return None;
    }
    notify::reloading();
    match successor::restart(state, relaunch, admin).await {
        Ok(successor) => {
            notify::handed_over(successor.id());
            Some(successor)
        }
        Err(e) => {
            notify::ready();
            metrics::counter!("mtls_sidecar_hot_restart_failures_total").increment(1);
            log::error!("the hot restart failed, this process goes on: {e}");
            None
        }
    }
}
