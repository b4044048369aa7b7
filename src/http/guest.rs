//! Whom a request is meant for. A web page that has its own name lead to this machine (DNS rebinding) could else read here
//! whatever its visitor can: its requests carry that name.

use std::net::{IpAddr, Ipv6Addr};

use hyper::{Request, header::HOST};

/// What such a request is told.
pub(super) const FOREIGN: &str = "the Host of this request is not known here, and may be a web page's: ask by address, by localhost, by this \
     machine's name, or by the name in http.listen\n";

/// Whether it is asked for by an address, by the name that it listens at, or by the machine's own.
pub(super) fn is_at_home<B>(request: &Request<B>, listens_at: &str, machine: &str) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(Ok(host)), None) = (hosts.next().map(|host| host.to_str()), hosts.next()) else { return false };
    // A request for another server, to be passed on, names it in its line.
    let asked = request.uri().host().is_none_or(|asked| knows(asked, listens_at, machine));
    asked && knows(without_port(host), listens_at, machine)
}

fn knows(host: &str, listens_at: &str, machine: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_address =
        host.parse::<IpAddr>().is_ok() || in_brackets(host).is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok());
    is_address || ["localhost", listens_at, machine].iter().any(|known| known.eq_ignore_ascii_case(host))
}

fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            if name.contains(':') && in_brackets(name).is_none() { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(hosts: &[&str], path: &str) -> bool {
        let request = hosts.iter().fold(Request::builder().uri(path), |request, host| request.header(HOST, *host));
        is_at_home(&request.body(()).expect("a request"), "metrics.internal", "db1")
    }

    #[test]
    fn only_addresses_and_names_of_our_own_are_let_in() {
        for host in [
            "127.0.0.1:9273",
            "10.0.0.7",
            "[::1]:9273",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:80",
            "db1:9273",
            "metrics.internal",
        ] {
            assert!(is_let_in(&[host], "/metrics"), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9273",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "db1.evil.example",
            "",
            "[evil]",
        ] {
            assert!(!is_let_in(&[host], "/metrics"), "{host}");
        }
        assert!(!is_let_in(&[], "/metrics") && !is_let_in(&["localhost", "evil.example"], "/metrics"));
        assert!(!is_let_in(&["localhost"], "http://evil.example/metrics"));
    }
}
