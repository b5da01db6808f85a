//! Which cores servers and clients run on.
//!
//! The server threads are what is measured: each has a core of its own as far as there are enough, and the
//! clients get the others. A handshake costs a stock client at least what it costs the server, so with few
//! cores the clients would be the bottleneck, the server would idle, and nothing would be *concurrent* for
//! it. There the clients may use every core, and the server threads give way to them (`nice`): they find work
//! waiting whenever they run, as under load. Their CPU time is counted by thread, so it stays comparable.

use core_affinity::CoreId;

/// Cores for the threads of a run.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    servers: Vec<CoreId>,
    clients: Vec<CoreId>,
    shared: bool,
    /// How much server threads give way where cores are shared.
    nice: u8,
}

impl Placement {
    /// For `threads` server threads under the load of `concurrency` clients.
    pub(crate) fn new(threads: usize, concurrency: usize) -> Self {
        Self::on(core_affinity::get_core_ids().unwrap_or_default(), threads, concurrency)
    }

    fn on(cores: Vec<CoreId>, threads: usize, concurrency: usize) -> Self {
        let spare = cores.len().saturating_sub(threads);
        // Without more clients than threads no two handshakes meet in one thread, so there is nothing to
        // load.
        let shared = spare == 0 || (concurrency > threads && spare < 2 * threads);
        let clients = if shared { cores.clone() } else { cores[threads..].to_vec() };
        Self { servers: cores, clients, shared, nice: 19 }
    }

    /// The same where server threads give way to clients that much.
    pub(crate) fn nice(self, nice: u8) -> Self {
        Self { nice, ..self }
    }

    /// The number of client threads: one for each of their cores, and at least one.
    pub(crate) fn client_threads(&self) -> usize {
        self.clients.len().max(1)
    }

    /// Puts the calling thread where server thread `index` belongs.
    pub(crate) fn enter_server(&self, index: usize) {
        pin(&self.servers, index);
        if self.shared && rustix::process::nice(self.nice.into()).is_err() {
            eprintln!(
                "handshake-bench: the server thread cannot give way to the clients (nice {})",
                self.nice
            );
        }
    }

    /// Puts the calling thread where client thread `index` belongs.
    pub(crate) fn enter_client(&self, index: usize) {
        pin(&self.clients, index);
    }

    /// One line for the report.
    pub(crate) fn describe(&self, threads: usize) -> String {
        let list = |cores: &[CoreId]| cores.iter().map(|c| c.id.to_string()).collect::<Vec<_>>().join(",");
        let servers = list(&self.servers[..threads.min(self.servers.len())]);
        let clients = list(&self.clients);
        match self.shared {
            false => format!("server threads on cores {servers}, clients on cores {clients}"),
            true => format!(
                "server threads on cores {servers} at nice {nice}, clients on cores {clients}: too few cores \
                 to keep them apart, so handshakes/s and latency include the clients' work; server CPU does not",
                nice = self.nice
            ),
        }
    }
}

/// Pins the calling thread to a core; where that is impossible it stays where the system puts it.
fn pin(cores: &[CoreId], index: usize) {
    if let Some(core) = cores.get(index % cores.len().max(1))
        && !core_affinity::set_for_current(*core)
    {
        eprintln!("handshake-bench: cannot pin a thread to core {}", core.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(cores: usize, threads: usize, concurrency: usize) -> Placement {
        Placement::on((0..cores).map(|id| CoreId { id }).collect(), threads, concurrency)
    }

    #[test]
    fn clients_keep_apart_where_there_are_enough_cores() {
        let apart = on(4, 1, 64);
        assert!(!apart.shared);
        assert_eq!(apart.client_threads(), 3);
        let alone = on(2, 1, 1);
        assert!(!alone.shared);
        assert_eq!(alone.client_threads(), 1);
    }

    #[test]
    fn clients_use_every_core_where_there_are_few() {
        for placement in [on(2, 1, 64), on(4, 2, 64), on(1, 1, 1), on(2, 4, 64)] {
            assert!(placement.shared);
            assert_eq!(placement.clients.len(), placement.servers.len());
        }
        assert_eq!(on(0, 1, 64).client_threads(), 1);
    }
}
