//! The process from its start to its end.

use crate::admin::{self, Admin};
use crate::cli::{Cli, Format};
use crate::config::{Config, Explanation, Loaded};
use crate::counters::{Counters, upkeep};
use crate::drain::drain;
use crate::follow::{Telling, follow};
use crate::handover::{Inherited, Parent};
use crate::restart::{self, Successor};
use crate::signals::{Meaning, Signals};
use crate::sockets;
use crate::state::{Phase, State};
use crate::supervision::{News, Supervision};
use crate::tls::{Identities, start_identities};
use crate::worker::Workers;
use crate::{engine_metric, handover, logging, metric};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use rustix::process::{Resource, getpid, getrlimit, setrlimit};
use rustls_multibuffer::config::Mode;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::task::JoinHandle;

/// Upper bounds of the buckets of handshake latencies, in seconds.
const LATENCIES: [f64; 12] = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0, 10.0];

/// Does what the command line says.
///
/// # Errors
/// What keeps the process from running.
pub(crate) fn run(cli: &Cli) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
    let mode = if cli.lenient { Mode::Lenient } else { Mode::Strict };
    let Loaded { config, explanation } = Loaded::load(&cli.config, mode)?;
    if let Some(format) = cli.explain {
        return explain(&explanation, format);
    }
    if cli.validate {
        explanation.warnings.iter().for_each(|warning| println!("warning: {warning}"));
        let verdict = match explanation.warnings.len() {
            0 => "good".to_owned(),
            1 => "accepted, with a warning".to_owned(),
            n => format!("accepted, with {n} warnings"),
        };
        println!("{}: {verdict}", cli.config.display());
        return Ok(());
    }
    logging::start(cli.log_level.unwrap_or(config.log.level));
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
    let inherited = if cli.restart_epoch > 0 { Some(handover::receive()?) } else { None };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let supervision = Supervision { is_supervised: cli.supervised };
    let result = runtime.block_on(live(config, cli.restart_epoch, program, inherited, recorder, supervision));
    // Names that are being looked up are not waited for.
    runtime.shutdown_background();
    logging::flush();
    result
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
    program: PathBuf,
    inherited: Option<Inherited>,
    recorder: PrometheusHandle,
    supervision: Supervision,
) -> Result<(), String> {
    // Before anything else that takes time: signals that come meanwhile are not lost.
    let mut signals = Signals::new()?;
    if epoch == 0 {
        // Of the others the one before says so, when they do accept.
        supervision.tell(News::Accepts(getpid()));
    }
    let (from_parent, admin_socket, mut parent) = match inherited {
        Some(Inherited { sockets, admin, parent }) => (sockets, admin, Some(parent)),
        None => (Vec::new(), None, None),
    };
    let state = Arc::new(State::new(config, epoch));
    let identities = start_identities(&state.config)?;
    let sockets = sockets::bind(&state.config, from_parent)?;
    *state.sockets() =
        sockets.iter().map(|s| s.try_clone()).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let admin_listener = admin::Listener::bind(state.config.admin.as_ref(), admin_socket)?;
    if parent.is_some() {
        // The one before goes on accepting until we can.
        all_ready(&identities).await;
    }
    let mut workers = Workers::start(&state, &identities, sockets).map_err(|e| e.to_string())?;
    tokio::spawn(upkeep(recorder.clone()));
    let counters = Arc::new(Counters::new(recorder));
    let ancestors = match parent.take() {
        Some(parent) => Some(take_over(parent, &counters).await?),
        None => None,
    };
    let admin = Admin::new(state.clone(), identities.clone(), workers.queries(), counters.clone());
    let serving = admin_listener.as_ref().map(|listener| listener.serve(admin)).transpose()?;
    let (noting, ready) = (state.clone(), identities.clone());
    tokio::spawn(async move {
        all_ready(&ready).await;
        noting.is_started.store(true, Relaxed);
        log::info!(epoch = noting.epoch; "ready");
    });

    let end = until_end(&state, &mut signals, &program, admin_listener.as_ref()).await;
    if let Some(mut successor) = end {
        // The other process serves the admin endpoint, and if it fails, a third must be able to bind its socket.
        serving.iter().for_each(|task| task.abort());
        drop(admin_listener);
        supervision.tell(News::Accepts(successor.id()));
        let mut telling =
            Telling { successor: &mut successor, counters: &counters, workers: workers.queries() };
        let result = follow(&state, &mut signals, &mut telling, ancestors, supervision).await;
        // Those that are cut now count, too. The engines end with the workers.
        let stats = telling.workers.stats().await;
        end_workers(&state, &mut workers);
        successor.tell(counters.increments(&stats), state.active()).await;
        return result;
    }
    end_workers(&state, &mut workers);
    Ok(())
}

fn end_workers(state: &State, workers: &mut Workers) {
    state.advance(Phase::Ended);
    log::info!(connections = state.active(); "ending");
    workers.join();
}

async fn all_ready(identities: &Identities) {
    for identity in identities.values() {
        identity.ready().await;
    }
}

/// Tells the process before that we accept, and goes on with its counters.
///
/// The task that comes back ends with that process.
async fn take_over(mut parent: Parent, counters: &Arc<Counters>) -> Result<JoinHandle<()>, String> {
    parent.say_ready().await.map_err(|e| format!("the process before has gone: {e}"))?;
    let counters = counters.clone();
    Ok(tokio::spawn(async move {
        while let Some(increments) = parent.next_counters().await {
            counters.add(increments);
        }
    }))
}

/// Waits for the end of accepting and of connections. Some: another process accepts now.
async fn until_end(
    state: &Arc<State>,
    signals: &mut Signals,
    program: &std::path::Path,
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
            successor = attempt(state, program, admin) => {
                if successor.is_some() {
                    return successor;
                }
            }
            () = signals.end() => {
                drain(state, signals).await;
                return None;
            }
            _ = phases.wait_for(|phase| *phase != Phase::Running) => log::warn!("no hot restart while draining"),
        }
    }
}

/// A hot restart. None: it failed, and nothing has changed.
async fn attempt(
    state: &State,
    program: &std::path::Path,
    admin: Option<&admin::Listener>,
) -> Option<Successor> {
    if state.phase() != Phase::Running {
        log::warn!("no hot restart while draining");
        return None;
    }
    match restart::restart(state, program, admin).await {
        Ok(successor) => Some(successor),
        Err(e) => {
            metrics::counter!("mtls_sidecar_hot_restart_failures_total").increment(1);
            log::error!("the hot restart failed, this process goes on: {e}");
            None
        }
    }
}
