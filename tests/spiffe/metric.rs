//! What the metrics say.

use crate::ca::{Ca, HOUR, id, material};
use crate::clock::TestClock;
use crate::support::{
    CLIENT, HOME, SERVER, engine, identity_with, name, refusal, run, sockets, stock_client,
};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Identity, LivePolicy, Withdrawal};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

/// Every value by name and labels. Gauges are kept as the bits of doubles.
#[derive(Clone, Default)]
pub(crate) struct Values(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Values {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        self.0.lock().unwrap().entry(text(key)).or_default().clone()
    }

    pub(crate) fn bits(&self, key: &str) -> u64 {
        let values = self.0.lock().unwrap();
        values.get(key).unwrap_or_else(|| panic!("{key} is not among {:?}", values.keys())).load(SeqCst)
    }

    fn gauge(&self, key: &str) -> f64 {
        f64::from_bits(self.bits(key))
    }
}

fn text(key: &Key) -> String {
    let mut labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    labels.sort();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Values {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The process has one recorder; each test has identities of its own names.
pub(crate) static VALUES: LazyLock<Values> = LazyLock::new(|| {
    let values = Values::default();
    metrics::set_global_recorder(values.clone()).unwrap_or_else(|_| panic!("there is a recorder"));
    values
});

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
#[expect(clippy::float_cmp, reason = "whole numbers, stored and read back")]
fn metrics_follow_the_identity() {
    let values = &*VALUES;
    run(async {
        let ca = Ca::new(HOME);
        let update = || material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        let before = SystemTime::now();
        let clock = TestClock::new();
        let builder = Identity::builder().name("followed").clock(clock.clone());
        let (identity, handle) = identity_with(builder, update()).await;
        let gauge = |name: &str| values.gauge(&format!("{name}{{identity=followed}}"));
        let count =
            |result: &str| values.bits(&format!("spiffe_updates_total{{identity=followed,result={result}}}"));
        let snapshot = identity.current().unwrap();
        assert_eq!(gauge("spiffe_svid_not_before_seconds"), seconds(snapshot.not_before()));
        assert_eq!(gauge("spiffe_svid_not_after_seconds"), seconds(snapshot.not_after()));
        assert!(gauge("spiffe_last_success_seconds") >= seconds(before));
        assert_eq!(
            (gauge("spiffe_generation"), gauge("spiffe_source_connected"), count("ok")),
            (1.0, 1.0, 1)
        );
        handle.offer(update()).await.unwrap();
        refusal(&handle, material(ca.svid(SERVER), [])).await;
        assert_eq!((gauge("spiffe_generation"), count("ok"), count("no_bundle")), (2.0, 2, 1));
        assert_eq!(gauge("spiffe_identity_available"), 1.0);
        for _ in 0..2 {
            handle.withdraw(Withdrawal::Removed).await.unwrap();
        }
        assert_eq!(values.bits("spiffe_withdrawals_total{identity=followed,reason=removed}"), 1);
        assert_eq!((gauge("spiffe_identity_available"), gauge("spiffe_generation")), (0.0, 2.0));
        handle.offer(update()).await.unwrap();
        assert_eq!((gauge("spiffe_identity_available"), gauge("spiffe_generation")), (1.0, 3.0));
        clock.advance(2 * HOUR);
        crate::support::until(|| gauge("spiffe_identity_available") == 0.0).await;
        drop(handle);
        crate::support::until(|| gauge("spiffe_source_connected") == 0.0).await;
    });
}

#[test]
fn handshakes_and_closings_are_counted_by_reason() {
    let values = &*VALUES;
    run(async {
        let ca = Ca::new(HOME);
        let own = material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        let (identity, handle) = identity_with(Identity::builder().name("counted"), own).await;
        let live = LivePolicy::keep().max_age(Duration::from_millis(10), Duration::ZERO);
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::exactly(id(CLIENT))).live_policy(live);
        let accept = async |svid| {
            let stock = tokio_rustls::TlsConnector::from(Arc::new(stock_client(&svid)));
            let (here, there) = sockets();
            tokio::join!(acceptor.accept(here), stock.connect(name(), there)).0
        };
        let failures = |reason: &str| {
            values.bits(&format!(
                "spiffe_handshake_failures_total{{identity=counted,reason={reason},side=server}}"
            ))
        };
        let (_stream, mut connection) = accept(ca.svid(CLIENT)).await.unwrap();
        connection.closing().await;
        connection.closing().await;
        let closed = "spiffe_connections_closed_total{identity=counted,reason=max_age,side=server}";
        assert_eq!(values.bits(closed), 1);
        accept(ca.svid(SERVER)).await.unwrap_err();
        assert_eq!(failures("not_authorized"), 1);
        accept(Ca::new(HOME).svid(CLIENT)).await.unwrap_err();
        assert_eq!(failures("not_in_bundle"), 1);
        let (here, there) = sockets();
        drop(there);
        acceptor.accept(here).await.unwrap_err();
        assert_eq!(failures("closed"), 1);
        handle.withdraw(Withdrawal::Removed).await.unwrap();
        acceptor.accept(sockets().0).await.unwrap_err();
        assert_eq!(failures("withdrawn"), 1);
    });
}
