//! Which CPUs servers and clients run on.
//!
//! The server threads are what is measured: each has a CPU of its own if there are enough, and the clients
//! have the others. A handshake costs a stock client at least what it costs the server, so with few CPUs the
//! clients may be the bottleneck. For whoever wants a server that always finds work waiting, the clients may
//! use every CPU, and the server threads give way to them (`nice`): their CPU time is counted by thread.

use core_affinity::CoreId;

/// Whether servers and clients meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// They have CPUs of their own.
    Apart,
    /// There are too few CPUs for that.
    Shared,
    /// Clients use every CPU, and server threads give way to them.
    Nice,
}

/// CPUs for the threads of a run.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    servers: Vec<CoreId>,
    clients: Vec<CoreId>,
    kind: Kind,
}

impl Placement {
    /// For `threads` server threads, which give way to the clients if they are `nice`.
    pub(crate) fn new(threads: usize, nice: bool) -> Self {
        Self::on(core_affinity::get_core_ids().unwrap_or_default(), threads, nice)
    }

    fn on(cpus: Vec<CoreId>, threads: usize, nice: bool) -> Self {
        let kind = match (nice, cpus.len() > threads) {
            (true, _) => Kind::Nice,
            (false, true) => Kind::Apart,
            (false, false) => Kind::Shared,
        };
        let clients = if kind == Kind::Apart { cpus[threads..].to_vec() } else { cpus.clone() };
        Self { servers: cpus, clients, kind }
    }

    /// The number of client threads: one for each of their CPUs, and at least one.
    pub(crate) fn client_threads(&self) -> usize {
        self.clients.len().max(1)
    }

    /// Puts the calling thread where server thread `index` belongs.
    pub(crate) fn enter_server(&self, index: usize) {
        pin(&self.servers, index);
        if self.kind == Kind::Nice && rustix::process::nice(19).is_err() {
            eprintln!("handshake-bench: the server thread cannot give way to the clients");
        }
    }

    /// Puts the calling thread where client thread `index` belongs.
    pub(crate) fn enter_client(&self, index: usize) {
        pin(&self.clients, index);
    }

    /// One word.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Apart => "apart",
            Kind::Shared => "shared",
            Kind::Nice => "nice",
        }
    }

    /// One line for the report.
    pub(crate) fn describe(&self, threads: usize) -> String {
        let list = |cpus: &[CoreId]| cpus.iter().map(|c| c.id.to_string()).collect::<Vec<_>>().join(",");
        let why = match self.kind {
            Kind::Apart => "",
            Kind::Shared => {
                "; too few CPUs to keep them apart: handshakes/s and latency include the clients' work"
            }
            Kind::Nice => {
                "; server threads give way to clients: handshakes/s and latency include the clients' work"
            }
        };
        format!(
            "{}: server threads on CPUs {}, clients on CPUs {}{why}",
            self.name(),
            list(&self.servers[..threads.min(self.servers.len())]),
            list(&self.clients),
        )
    }
}

/// Pins the calling thread to a CPU; where that is impossible it stays where the system puts it.
fn pin(cores: &[CoreId], index: usize) {
    if let Some(core) = cores.get(index % cores.len().max(1))
        && !core_affinity::set_for_current(*core)
    {
        eprintln!("handshake-bench: cannot pin a thread to CPU {}", core.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(cpus: usize, threads: usize, nice: bool) -> Placement {
        Placement::on((0..cpus).map(|id| CoreId { id }).collect(), threads, nice)
    }

    #[test]
    fn clients_keep_apart_where_there_is_a_cpu_for_them() {
        for (cpus, threads, clients) in [(4, 1, 3), (2, 1, 1), (4, 3, 1), (4, 0, 4)] {
            let placement = on(cpus, threads, false);
            assert_eq!((placement.name(), placement.client_threads()), ("apart", clients));
            assert_eq!(placement.clients[0].id, threads);
        }
    }

    #[test]
    fn clients_use_every_cpu_where_there_are_few_or_where_servers_give_way() {
        for (cpus, threads, nice, name) in
            [(1, 1, false, "shared"), (2, 4, false, "shared"), (2, 1, true, "nice"), (8, 2, true, "nice")]
        {
            let placement = on(cpus, threads, nice);
            assert_eq!((placement.name(), placement.client_threads()), (name, cpus));
        }
        assert_eq!(on(0, 1, false).client_threads(), 1);
    }
}
