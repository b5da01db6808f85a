//! The control: what must not count does not count.

use crate::client::{self, Exchange, Load, Outcome};
use crate::placement::Placement;
use crate::scenario::Scenario;
use crate::server::Server;
use std::time::Duration;

/// Handshakes of the control run.
const ATTEMPTS: usize = 16;

/// Lets clients with a certificate of another authority try, or those that trust no authority but another
/// where clients have no certificates: none may count, and the server must have sent nothing back.
///
/// # Errors
/// Says what was counted, or why the control could not be run.
pub(crate) fn check(scenario: &Scenario, server: &Server, placement: &Placement) -> Result<(), String> {
    let clients = scenario.untrusted_clients(server.provider(), ATTEMPTS / 2).map_err(|e| e.to_string())?;
    let before = echoed(server)?;
    let load = Load {
        targets: server.targets(),
        clients: &clients,
        duration: Duration::from_secs(30),
        handshakes: ATTEMPTS,
        arrivals: None,
        exchange: &Exchange::default(),
    };
    let outcome = client::run(&load, placement).map_err(|e| format!("control run: {e}"))?;
    judge(&outcome, echoed(server)? - before)
}

fn echoed(server: &Server) -> Result<usize, String> {
    Ok(server.quiet_samples()?.iter().map(|sample| sample.echoed).sum())
}

fn judge(outcome: &Outcome, echoed: usize) -> Result<(), String> {
    let counted = outcome.handshakes;
    let why = outcome.first_failure.as_deref().unwrap_or("no failure at all");
    if (counted, echoed, outcome.failures) != (0, 0, ATTEMPTS) {
        return Err(format!(
            "control run with an untrusted certificate: {counted} of {ATTEMPTS} counted, {echoed} \
             answered, {} failed ({why}); this program's figures would mean nothing",
            outcome.failures
        ));
    }
    // Any other failure would be an accident: the server has to say that it does not know the authority, or
    // the client where only that one verifies. SPIFFE's rules are not rustls' own, for whose failures there
    // is only the alert CertificateUnknown.
    match ["UnknownCA", "CertificateUnknown", "UnknownIssuer"].iter().any(|alert| why.contains(alert)) {
        true => Ok(()),
        false => Err(format!("control run: clients failed, but not because of the authority: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, KeyKind};
    use crate::sides::Provider;
    use clap::Parser;

    fn scenario(words: &[&str]) -> Scenario {
        let cli = Cli::try_parse_from(["handshake-bench"].iter().chain(words)).unwrap();
        Scenario::new(KeyKind::P256, &cli.run.tls).unwrap()
    }

    #[test]
    fn untrusted_clients_count_zero() {
        let placement = Placement::new(1, false);
        for tls in ["1.2", "1.3"] {
            for (provider, client) in Provider::ALL.into_iter().zip(["stock", "multibuffer"]) {
                for more in ["--identities=3", "--intermediate", "--resume", "--server-only-auth"] {
                    let scenario = scenario(&["--tls", tls, "--client", client, more]);
                    let server = Server::start(provider, &scenario, 1, &placement).unwrap();
                    assert_eq!(check(&scenario, &server, &placement), Ok(()), "{tls} {client} {more}");
                }
            }
        }
    }

    #[test]
    fn untrusted_clients_count_zero_while_identities_rotate() {
        let placement = Placement::new(1, false);
        for tls in ["1.2", "1.3"] {
            let scenario = scenario(&["--tls", tls, "--rotate", "5", "--rotate-ca", "3"]);
            let server = Server::start(Provider::Multibuffer, &scenario, 1, &placement).unwrap();
            assert_eq!(check(&scenario, &server, &placement), Ok(()));
        }
    }

    #[test]
    fn the_control_notices_trusted_clients() {
        let placement = Placement::new(1, false);
        let scenario = scenario(&[]);
        let server = Server::start(Provider::Baseline, &scenario, 1, &placement).unwrap();
        let clients = scenario.clients(Provider::Baseline, 8).unwrap();
        let load = Load {
            targets: server.targets(),
            clients: &clients,
            duration: Duration::from_secs(30),
            handshakes: ATTEMPTS,
            arrivals: None,
            exchange: &Exchange::default(),
        };
        let outcome = client::run(&load, &placement).unwrap();
        assert_eq!((outcome.handshakes, outcome.failures), (ATTEMPTS, 0));
        assert_eq!(echoed(&server), Ok(ATTEMPTS));
        assert!(judge(&outcome, ATTEMPTS).unwrap_err().contains("16 of 16 counted"));
    }
}
