//! Where metrics and health are asked for.

use std::{fmt, net::IpAddr};

use super::{draft, review::Review};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// An address without brackets, or a name.
    pub host: String,
    /// 0 is any that is free; the log says which.
    pub port: u16,
}

impl Listen {
    fn read(typed: &str) -> Option<Self> {
        let (host, port) = typed.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address =
            bracketed.unwrap_or(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == bracketed.is_some());
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = bracketed.is_none() && !host.is_empty() && host.bytes().all(letter);
        (is_address || is_name).then(|| Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }

    /// Whether only this machine reaches it, as far as the name says.
    fn is_of_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where to listen, if anywhere.
pub(super) fn review(draft: &draft::Http, review: &mut Review) -> Option<Listen> {
    let typed = draft.listen.as_ref()?;
    let Some(listen) = Listen::read(typed.get_ref()) else {
        let what = format!(
            "\"{}\" is no address to listen at; write it as \"127.0.0.1:9273\", \"[::1]:9273\" or \"0.0.0.0:9273\"",
            typed.get_ref()
        );
        review.wrong(&typed.span(), "http.listen", what);
        return None;
    };
    if !listen.is_of_this_machine() {
        review.warnings.push(format!(
            "http.listen: whoever reaches {listen} reads the metrics, names of feeds and counts among them: there is neither password \
             nor TLS. 127.0.0.1 is for this machine alone"
        ));
    }
    Some(listen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_a_host_that_is_one() {
        for (typed, host, port) in [
            ("127.0.0.1:9273", "127.0.0.1", 9273),
            ("[::1]:0", "::1", 0),
            ("localhost:80", "localhost", 80),
            ("tickerd.internal:9273", "tickerd.internal", 9273),
        ] {
            let listen = Listen::read(typed).expect(typed);
            assert_eq!((listen.host.as_str(), listen.port, listen.to_string().as_str()), (host, port, typed));
        }
        for typed in [
            "9273",
            ":9273",
            "127.0.0.1",
            "::1:9273",
            "[127.0.0.1]:9273",
            "127.0.0.1:65536",
            "http://localhost:9273",
            "a b:1",
        ] {
            assert_eq!(Listen::read(typed), None, "{typed}");
        }
    }
}
