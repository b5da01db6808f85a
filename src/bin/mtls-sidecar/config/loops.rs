//! Connections that would come back to where they started.

use super::{Config, ListenerConfig, Target};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The listeners that a connection to this one comes by again, as a sentence; `None`: it comes to an end.
pub(super) fn loop_through(config: &Config, start: usize) -> Option<String> {
    let (mut at, mut way) = (start, Vec::new());
    loop {
        let next = config.listeners.iter().position(|other| reaches(&config.listeners[at].target, other))?;
        if next == start {
            break;
        }
        if way.contains(&next) {
            // A loop further on, which is told there.
            return None;
        }
        way.push(next);
        at = next;
    }
    let names: Vec<_> = way.iter().map(|i| format!("{:?}", config.listeners[*i].name)).collect();
    Some(match names.is_empty() {
        true => "this is the listener itself: connections would go round in a loop".to_owned(),
        false => format!("connections would come back here through {}", names.join(" and ")),
    })
}

/// Whether connections to the target arrive at the listener. Host names other than those of this machine are
/// not looked up.
fn reaches(target: &Target, listener: &ListenerConfig) -> bool {
    let Target::Tcp { host, port } = target else { return false };
    if *port != listener.address.port() {
        return false;
    }
    let listens_on = listener.address.ip().to_canonical();
    let goes_to = match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical(),
        Err(_) if is_local_name(host) => {
            return listens_on.is_loopback() || listens_on.is_unspecified();
        }
        Err(_) => return false,
    };
    // To connect to no address in particular is to connect to oneself.
    let is_own = goes_to.is_unspecified() || goes_to.is_loopback();
    match (listens_on.is_unspecified(), goes_to.is_unspecified()) {
        (true, _) => is_own && accepts(listener.address, goes_to),
        (false, true) => listens_on.is_loopback() && listens_on.is_ipv4() == goes_to.is_ipv4(),
        (false, false) => listens_on == goes_to,
    }
}

/// Whether a listener on all addresses takes connections of that family: `[::]` takes both.
fn accepts(listener: SocketAddr, to: IpAddr) -> bool {
    listener.is_ipv6() || to.is_ipv4()
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host == Ipv4Addr::LOCALHOST.to_string()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Listeners by address and target.
    fn errors(listeners: &[(&str, &str)]) -> Result<(), String> {
        let mut text =
            String::from("identities: {default: {tls_identity: {directory: {path: /run/id}}}}\nlisteners:\n");
        for (i, (address, target)) in listeners.iter().enumerate() {
            text += &format!(
                "- {{name: l{i}, direction: outbound, address: '{address}', target: '{target}', \
                 identity: default, \
                 peers: {{any: true}}}}\n"
            );
        }
        Config::parse(&text).map(drop)
    }

    #[test]
    fn a_target_that_is_the_listener_itself() {
        for (address, target) in [
            ("127.0.0.1:15001", "127.0.0.1:15001"),
            ("127.0.0.1:15001", "localhost:15001"),
            ("127.0.0.1:15001", "LocalHost.:15001"),
            ("127.0.0.1:15001", "0.0.0.0:15001"),
            ("127.0.0.1:15001", "[::ffff:127.0.0.1]:15001"),
            ("0.0.0.0:15001", "127.0.0.1:15001"),
            ("0.0.0.0:15001", "127.0.0.9:15001"),
            ("0.0.0.0:15001", "0.0.0.0:15001"),
            ("0.0.0.0:15001", "localhost:15001"),
            ("[::]:15001", "127.0.0.1:15001"),
            ("[::]:15001", "[::1]:15001"),
            ("[::1]:15001", "localhost:15001"),
            ("[::1]:15001", "[::]:15001"),
            ("10.0.0.1:15001", "10.0.0.1:15001"),
        ] {
            let e = errors(&[(address, target)]).expect_err(target);
            assert!(
                e.contains("listeners[0].target: this is the listener itself"),
                "{address} {target}: {e}"
            );
        }
        for (address, target) in [
            ("127.0.0.1:15001", "127.0.0.1:15002"),
            ("127.0.0.1:15001", "127.0.0.2:15001"),
            ("0.0.0.0:15001", "[::1]:15001"),
            ("0.0.0.0:15001", "server.example:15001"),
            ("0.0.0.0:15001", "192.0.2.1:15001"),
            ("127.0.0.1:0", "127.0.0.1:1"),
        ] {
            errors(&[(address, target)]).unwrap_or_else(|e| panic!("{address} {target}: {e}"));
        }
    }

    #[test]
    fn a_loop_of_several_listeners() {
        let ring = [
            ("127.0.0.1:1501", "127.0.0.1:1502"),
            ("0.0.0.0:1502", "localhost:1503"),
            ("127.0.0.1:1503", "127.0.0.1:1501"),
            ("127.0.0.1:1504", "127.0.0.1:1501"),
        ];
        let e = errors(&ring).unwrap_err();
        assert_eq!(e.lines().count(), 3, "{e}");
        assert!(
            e.contains("listeners[0].target: connections would come back here through \"l1\" and \"l2\""),
            "{e}"
        );
        // A chain is none.
        errors(&ring[1..]).unwrap();
    }
}
