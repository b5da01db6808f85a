//! Which requests the admin endpoint answers: none that a web page may have sent, and perhaps changes only
//! for those who know the token.
//!
//! A Unix socket's permissions say who may connect to it, and no browser does. On TCP, a browser on the same
//! machine can be made to ask: by a form or a script of any page (which `Origin` and `Sec-Fetch-Site` tell),
//! or by a name of the page's own that is made to mean this machine (DNS rebinding, which `Host` tells).
//! Programs send none of these, or the address that they have been given.

use crate::config::{AdminAddress, AdminConfig};
use hyper::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode};
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use subtle::ConstantTimeEq;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
pub(super) type Refusal = (StatusCode, String);

/// Whether a request is answered.
///
/// # Errors
/// The answer that it gets instead.
pub(super) fn check<B>(config: &AdminConfig, request: &Request<B>) -> Result<(), Refusal> {
    if let AdminAddress::Tcp(_) = config.address {
        check_host(request)?;
        check_origin(request)?;
    }
    match &config.token_file {
        Some(file) if request.method() != Method::GET => check_token(file, request),
        _ => Ok(()),
    }
}

fn forbidden<T>(message: &str) -> Result<T, Refusal> {
    Err((StatusCode::FORBIDDEN, format!("{message}\n")))
}

/// Every name that the request calls this host by must be one of its own: none at all, `localhost`, or an
/// address.
fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err((StatusCode::BAD_REQUEST, "there is more than one Host header\n".into()));
    }
    let is_own_header =
        host.is_none_or(|host| host.is_empty() || parse(host).is_some_and(|host| is_own(&host)));
    if is_own_header && request.uri().authority().is_none_or(is_own) {
        return Ok(());
    }
    forbidden("the host must be localhost or an address of this machine")
}

fn parse(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

fn is_own(authority: &Authority) -> bool {
    let host = authority.host();
    if authority.as_str().contains('@') {
        return false;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => is_local(address.to_canonical()),
        Err(_) => {
            let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            // RFC 6761, section 6.3: names below localhost are not looked up elsewhere.
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether this machine has the address: a probe may name the pod's.
fn is_local(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return false;
    }
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// What a browser says about the page that asks: only one that came from this endpoint may.
fn check_origin<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    let is_same = |origin: &HeaderValue| {
        origin.as_bytes().strip_prefix(b"http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    };
    let is_direct = |site: &HeaderValue| site == "same-origin" || site == "none";
    let is_ours =
        headers.get_all(ORIGIN).iter().all(is_same) && headers.get_all(SEC_FETCH_SITE).iter().all(is_direct);
    if is_ours { Ok(()) } else { forbidden("web pages from elsewhere get no answer") }
}

/// The file is read each time: tokens are replaced.
fn check_token<B>(file: &Path, request: &Request<B>) -> Result<(), Refusal> {
    let expected = std::fs::read(file).map_err(|e| {
        log::error!("admin: {}: {e}", file.display());
        (StatusCode::INTERNAL_SERVER_ERROR, "the token cannot be read, see the log\n".to_owned())
    })?;
    let expected = expected.trim_ascii();
    let given = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    let is_bearer = |(scheme, _): &(&[u8], &[u8])| scheme.eq_ignore_ascii_case(b"Bearer ");
    let given = given.split_at_checked(7).filter(is_bearer).map(|(_, token)| token.trim_ascii());
    if !expected.is_empty() && given.is_some_and(|given| given.ct_eq(expected).into()) {
        return Ok(());
    }
    Err((
        StatusCode::UNAUTHORIZED,
        "expected Authorization: Bearer and the token of admin.token_file\n".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "127.0.0.1:15000";

    fn status(address: &str, token: Option<&Path>, request: &str) -> u16 {
        let config = AdminConfig { address: address.parse().unwrap(), token_file: token.map(Into::into) };
        let mut words = request.split(" | ");
        let (method, uri) = words.next().unwrap().split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(uri);
        for (name, value) in words.map(|header| header.split_once(':').unwrap()) {
            builder = builder.header(name, value.trim());
        }
        check(&config, &builder.body(()).unwrap()).map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn programs_on_this_machine_are_answered() {
        for request in [
            "GET /ready",
            "GET /ready | Host:",
            "GET /ready | Host: localhost",
            "GET /ready | Host: LocalHost.:8080",
            "GET /ready | Host: sidecar.localhost:1",
            "GET /ready | Host: 127.0.0.1:15000",
            "GET /ready | Host: 127.8.8.8",
            "POST /quitquitquit | Host: [::1]:15000",
            "GET /ready | Host: [::ffff:127.0.0.1]",
            "GET http://localhost/ready | Host: localhost",
            "POST /logging | Host: localhost:15000 | Origin: http://localhost:15000 \
             | Sec-Fetch-Site: same-origin",
            "GET /ready | Host: localhost | Sec-Fetch-Site: none",
        ] {
            assert_eq!(status(TCP, None, request), 200, "{request}");
        }
    }

    #[test]
    fn what_a_web_page_may_have_sent_is_not() {
        for request in [
            "GET /config_dump | Host: rebind.evil.example",
            "GET /config_dump | Host: rebind.evil.example:15000",
            "GET /config_dump | Host: 203.0.113.7",
            "GET /config_dump | Host: [2001:db8::7]:80",
            "GET /config_dump | Host: 0.0.0.0:15000",
            "GET /config_dump | Host: [::]",
            "GET /config_dump | Host: 224.0.0.1",
            "GET /config_dump | Host: notlocalhost",
            "GET /config_dump | Host: localhost.evil.example",
            "GET /config_dump | Host: localhost@evil.example",
            "GET /config_dump | Host: evil.example@localhost",
            "GET /config_dump | Host: local host",
            "GET http://evil.example/config_dump | Host: localhost",
            "POST /quitquitquit | Host: localhost | Origin: http://evil.example",
            "POST /quitquitquit | Host: localhost | Origin: null",
            "POST /quitquitquit | Host: localhost:15000 | Origin: http://localhost:3000",
            "POST /quitquitquit | Host: localhost | Origin: https://localhost",
            "POST /quitquitquit | Host: localhost | Origin: http://localhost | Origin: http://evil.example",
            "POST /quitquitquit | Host: localhost | Sec-Fetch-Site: cross-site",
            "GET /certs | Host: localhost | Sec-Fetch-Site: same-site",
        ] {
            assert_eq!(status(TCP, None, request), 403, "{request}");
        }
        assert_eq!(status(TCP, None, "GET /certs | Host: localhost | Host: localhost"), 400);
        // No browser connects to a Unix socket, and clients call it what they like.
        assert_eq!(status("unix:/run/admin.sock", None, "GET /ready | Host: admin"), 200);
    }

    #[test]
    fn changes_want_the_token_that_the_file_holds_now() {
        let file = std::env::temp_dir().join(format!("admin-token-{}", std::process::id()));
        for address in [TCP, "unix:/run/admin.sock"] {
            let ask = |request: &str| status(address, Some(&file), request);
            let write = |token: &str| std::fs::write(&file, token).unwrap();
            write("first\n");
            assert_eq!(ask("POST /logging | Authorization: Bearer first"), 200);
            assert_eq!(ask("POST /logging | Authorization: bearer  first "), 200);
            for wrong in ["", "Bearer", "Bearer ", "Bearer firs", "Bearer first2", "Basic first", "first"] {
                assert_eq!(ask(&format!("POST /logging | Authorization: {wrong}")), 401, "{wrong}");
            }
            assert_eq!(ask("POST /logging"), 401);
            assert_eq!(ask("GET /ready"), 200, "what changes nothing needs no token");
            write("second");
            assert_eq!(ask("POST /logging | Authorization: Bearer first"), 401);
            assert_eq!(ask("POST /logging | Authorization: Bearer second"), 200);
            write(" \n");
            assert_eq!(ask("POST /logging | Authorization: Bearer "), 401, "an empty token is none");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(status(TCP, Some(&file), "POST /logging | Authorization: Bearer second"), 500);
    }
}
