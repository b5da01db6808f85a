//! The control: what must not count does not count.

use crate::client::{self, Load, Outcome};
use crate::placement::Placement;
use crate::scenario::Scenario;
use crate::server::Server;
use std::time::Duration;

/// Handshakes of the control run.
const ATTEMPTS: usize = 16;

/// Lets clients with a certificate of another authority try: none may count, and the server must have sent
/// nothing back.
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
    };
    let outcome = client::run(&load, placement).map_err(|e| format!("control run: {e}"))?;
    judge(&outcome, echoed(server)? - before)
}

fn echoed(server: &Server) -> Result<usize, String> {
    Ok(server.quiet_samples()?.iter().map(|sample| sample.echoed).sum())
}

fn judge(outcome: &Outcome, echoed: usize) -> Result<(), String> {
    let counted = outcome.latencies.len();
    let why = outcome.first_failure.as_deref().unwrap_or("no failure at all");
    if (counted, echoed, outcome.failures) != (0, 0, ATTEMPTS) {
        return Err(format!(
            "control run with an untrusted client certificate: {counted} of {ATTEMPTS} counted, {echoed} \
             answered, {} failed ({why}); this program's figures would mean nothing",
            outcome.failures
        ));
    }
    // Any other failure would be an accident: the server has to say that it does not know the authority. SPIFFE's rules are
    // not rustls' own, for whose failures there is only the alert CertificateUnknown.
    match ["UnknownCA", "CertificateUnknown"].iter().any(|alert| why.contains(alert)) {
        true => Ok(()),
        false => Err(format!("control run: clients failed, but not because the server refused them: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{ClientKind, KeyKind, Kx, RotateArgs, TlsArgs, TlsVersion};
    use crate::scenario::Provider;

    fn scenario(tls: TlsVersion, client: ClientKind, intermediate: bool) -> Scenario {
        scenario_with(tls, client, intermediate, RotateArgs::default())
    }

    fn scenario_with(
        tls: TlsVersion,
        client: ClientKind,
        intermediate: bool,
        rotation: RotateArgs,
    ) -> Scenario {
        let (kx, identities, tier, poll_delay) = (Kx::X25519, 3, None, Duration::ZERO);
        let args = TlsArgs { kx, client, intermediate, identities, tls, rotation, tier, poll_delay };
        Scenario::new(KeyKind::P256, &args).unwrap()
    }

    #[test]
    fn untrusted_clients_count_zero() {
        let placement = Placement::new(1, 8);
        for tls in [TlsVersion::V1_2, TlsVersion::V1_3] {
            for (provider, client) in
                Provider::ALL.into_iter().zip([ClientKind::Stock, ClientKind::Multibuffer])
            {
                for intermediate in [false, true] {
                    let scenario = scenario(tls, client, intermediate);
                    let server = Server::start(provider, &scenario, 1, 8, &placement).unwrap();
                    assert_eq!(check(&scenario, &server, &placement), Ok(()));
                }
            }
        }
    }

    #[test]
    fn untrusted_clients_count_zero_while_identities_rotate() {
        let placement = Placement::new(1, 8);
        let rotation = RotateArgs { rotate: Some(5), rotate_ca: Some(3) };
        for tls in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let scenario = scenario_with(tls, ClientKind::Stock, false, rotation);
            let server = Server::start(Provider::Multibuffer, &scenario, 1, 8, &placement).unwrap();
            assert_eq!(check(&scenario, &server, &placement), Ok(()));
        }
    }

    #[test]
    fn the_control_notices_trusted_clients() {
        let placement = Placement::new(1, 8);
        let scenario = scenario(TlsVersion::V1_3, ClientKind::Stock, false);
        let server = Server::start(Provider::Baseline, &scenario, 1, 8, &placement).unwrap();
        let clients = scenario.clients(Provider::Baseline, 8).unwrap();
        let load = Load {
            targets: server.targets(),
            clients: &clients,
            duration: Duration::from_secs(30),
            handshakes: ATTEMPTS,
        };
        let outcome = client::run(&load, &placement).unwrap();
        assert_eq!((outcome.latencies.len(), outcome.failures), (ATTEMPTS, 0));
        assert_eq!(echoed(&server), Ok(ATTEMPTS));
        assert!(judge(&outcome, ATTEMPTS).unwrap_err().contains("16 of 16 counted"));
    }
}
