//! The admin endpoint: HTTP/1.1 on a loopback address or a Unix socket.

mod guard;
mod listener;
mod reports;

pub(crate) use listener::Listener;

use crate::config::level;
use crate::counters::Counters;
use crate::logging::Seldom;
use crate::state::{Phase, State};
use crate::tls::Identities;
use crate::worker::Queries;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

type Answer = Response<Full<Bytes>>;

/// A page may ask very often.
static REFUSALS: Seldom = Seldom::new();

/// What the endpoint reports on and acts on.
#[derive(Clone)]
pub(crate) struct Admin {
    state: Arc<State>,
    identities: Identities,
    workers: Queries,
    counters: Arc<Counters>,
}

impl Admin {
    pub(crate) fn new(
        state: Arc<State>,
        identities: Identities,
        workers: Queries,
        counters: Arc<Counters>,
    ) -> Self {
        Self { state, identities, workers, counters }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path();
        if let Some(config) = &self.state.config.admin
            && let Err((status, message)) = guard::check(config, &request)
        {
            if let Some(since) = REFUSALS.count() {
                log::warn!(since; "admin: {} {path} is refused: {}", request.method(), message.trim_end());
            }
            return Ok(text(status, message));
        }
        Ok(match *request.method() {
            Method::GET => self.get(path).await,
            Method::POST => self.post(path, query),
            _ => None,
        }
        .unwrap_or_else(|| self.refuse(path)))
    }

    async fn get(&self, path: &str) -> Option<Answer> {
        Some(match path {
            "/ready" => self.ready(),
            "/stats/prometheus" => {
                let text = self.counters.render(&self.workers.stats().await);
                answer(StatusCode::OK, "text/plain; version=0.0.4", text)
            }
            "/config_dump" => json(&reports::config(&self.state)),
            "/certs" => json(&reports::certificates(&self.identities)),
            "/listeners" => json(&reports::listeners(&self.state)),
            "/server_info" => json(&reports::server(&self.state)),
            _ => return None,
        })
    }

    fn post(&self, path: &str, query: &str) -> Option<Answer> {
        let state = &self.state;
        match path {
            "/drain_listeners" => {
                let inbound_only = query.split('&').any(|option| option == "inboundonly");
                state.advance(if inbound_only { Phase::InboundClosed } else { Phase::Draining });
            }
            "/healthcheck/fail" => state.is_failed.store(true, Relaxed),
            "/healthcheck/ok" => state.is_failed.store(false, Relaxed),
            "/quitquitquit" => state.advance(Phase::Ended),
            "/logging" => return Some(set_level(query)),
            _ => return None,
        }
        Some(text(StatusCode::OK, "OK\n"))
    }

    fn ready(&self) -> Answer {
        let unusable = reports::unusable(&self.identities);
        match (self.state.is_ready(), unusable.is_empty()) {
            (true, true) => text(StatusCode::OK, "LIVE\n"),
            (true, false) => text(StatusCode::SERVICE_UNAVAILABLE, unusable),
            (false, _) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reports::state(&self.state))),
        }
    }

    fn refuse(&self, path: &str) -> Answer {
        const GET: [&str; 6] =
            ["/ready", "/stats/prometheus", "/config_dump", "/certs", "/listeners", "/server_info"];
        const POST: [&str; 5] =
            ["/drain_listeners", "/healthcheck/fail", "/healthcheck/ok", "/logging", "/quitquitquit"];
        if GET.contains(&path) || POST.contains(&path) {
            let method = if GET.contains(&path) { "GET" } else { "POST" };
            return text(StatusCode::METHOD_NOT_ALLOWED, format!("{path} wants {method}\n"));
        }
        let known = format!("GET {}\nPOST {}\n", GET.join(" "), POST.join(" "));
        text(StatusCode::NOT_FOUND, known)
    }
}

fn set_level(query: &str) -> Answer {
    let level = query.split('&').find_map(|option| option.strip_prefix("level="));
    match level.and_then(|level| level::parse(level).ok()) {
        Some(level) => {
            log::set_max_level(level);
            text(StatusCode::OK, format!("{level}\n"))
        }
        None => text(
            StatusCode::BAD_REQUEST,
            "expected level=off, error, warn (or warning), info, debug or trace\n",
        ),
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", text)
}

fn json(value: &serde_json::Value) -> Answer {
    answer(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    answer
}
