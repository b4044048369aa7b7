//! How the venue is reached: through which proxy, from which address, by which family of addresses.

use std::{fmt, net::IpAddr, sync::Arc};

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{
    credentials,
    draft::{self, Source},
    place::{Place, Problem},
    review::Review,
    surroundings::Surroundings,
};
use crate::auth::Secret;

/// How the venue is reached.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Through what.
    pub route: Route,
    /// From this address of the machine, if it is not to choose.
    pub bind: Option<IpAddr>,
    /// By addresses of this family alone.
    pub ip: Family,
}

/// Through what the venue is reached.
#[derive(Clone, Debug, Default)]
pub enum Route {
    /// Nothing.
    #[default]
    Direct,
    /// One proxy, wherever it goes.
    Through(Arc<Proxy>),
    /// What the environment says of each host; see curl(1).
    Environment(Arc<Environment>),
}

/// The environment's proxies.
#[derive(Debug, Default)]
pub struct Environment {
    /// For https:// and wss://.
    secure: Option<Arc<Proxy>>,
    /// For http:// and ws://.
    plain: Option<Arc<Proxy>>,
    /// Tells which hosts go without.
    matcher: Option<Matcher>,
}

/// A proxy, and what it wants to hear.
#[derive(Debug)]
pub struct Proxy {
    /// What it speaks.
    pub kind: Kind,
    /// Its host...
    pub host: String,
    /// ...and port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Where it was read from, for people: "$`HTTPS_PROXY`".
    pub from: String,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP, asked to CONNECT.
    Http,
    /// SOCKS version 5; names are always the proxy's to look up, as with curl's socks5h.
    Socks,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Family {
    /// Either.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// IPv4.
    #[serde(rename = "4")]
    V4,
    /// IPv6.
    #[serde(rename = "6")]
    V6,
}

/// A variable is typed without quotes, and `TICKERD_NET__IP=4` is a number.
impl TryFrom<toml::Value> for Family {
    type Error = &'static str;

    fn try_from(typed: toml::Value) -> Result<Self, Self::Error> {
        match (typed.as_str(), typed.as_integer()) {
            (Some("any"), _) => Ok(Self::Any),
            (Some("4"), _) | (_, Some(4)) => Ok(Self::V4),
            (Some("6"), _) | (_, Some(6)) => Ok(Self::V6),
            _ => Err("this is no family of addresses: \"any\", \"4\" or \"6\""),
        }
    }
}

impl Net {
    /// Where no configuration says anything, the environment does.
    ///
    /// # Errors
    /// When a variable names no proxy.
    pub(super) fn of_environment(around: &Surroundings) -> Result<Self, Problem> {
        Ok(Self { route: Route::of_environment(around)?, ..Self::default() })
    }

    /// Whether an address may be used.
    #[must_use]
    pub fn takes(&self, address: IpAddr) -> bool {
        let family = match self.ip {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        family && self.bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())
    }
}

impl Route {
    fn of_environment(around: &Surroundings) -> Result<Self, Problem> {
        // The small letters first, as curl has it; HTTP_PROXY in capitals is what a CGI's client may set.
        let first = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| Some((*name, around.var(name)?)));
            let read = found.map(|(name, url)| {
                Proxy::parse(url, format!("${name}")).map(Arc::new).map_err(|what| format!("${name} {what}"))
            });
            read.transpose().map_err(|what| Problem::new(Place::Variable("the environment".to_owned()), "", what))
        };
        let secure = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
        let plain = first(&["http_proxy", "all_proxy", "ALL_PROXY"])?;
        let none = around.var("no_proxy").or_else(|| around.var("NO_PROXY"));
        // The matcher's own * is every name and no address.
        if secure.is_none() && plain.is_none() || none.is_some_and(|hosts| hosts.trim() == "*") {
            return Ok(Self::Direct);
        }
        let matcher = none.map(|hosts| Matcher::builder().all("http://proxy").no(hosts.to_owned()).build());
        Ok(Self::Environment(Arc::new(Environment { secure, plain, matcher })))
    }

    /// The proxy on the way to a host. There is none on the way to loopback: what goes there in the clear stays on the machine.
    #[must_use]
    pub fn proxy(&self, host: &str, secure: bool) -> Option<&Arc<Proxy>> {
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            return None;
        }
        match self {
            Self::Direct => None,
            Self::Through(proxy) => Some(proxy),
            Self::Environment(environment) => environment.proxy(host, secure),
        }
    }

    /// Whether each proxy is told the same user and password.
    #[must_use]
    pub fn signs_in_as(&self, other: &Self) -> bool {
        self.logins() == other.logins()
    }

    fn logins(&self) -> Vec<Option<(&str, &str)>> {
        let proxies = match self {
            Self::Direct => [None, None],
            Self::Through(proxy) => [Some(proxy), None],
            Self::Environment(environment) => [environment.secure.as_ref(), environment.plain.as_ref()],
        };
        let logins = proxies.into_iter().map(|proxy| proxy.and_then(|proxy| proxy.login.as_ref()));
        logins.map(|login| login.map(|(user, password)| (&**user, password.expose()))).collect()
    }
}

impl Environment {
    fn proxy(&self, host: &str, secure: bool) -> Option<&Arc<Proxy>> {
        let host = if host.contains(':') { format!("http://[{host}]/") } else { format!("http://{host}/") };
        let excepted = |matcher: &Matcher| host.parse().is_ok_and(|uri| matcher.intercept(&uri).is_none());
        let proxy = if secure { &self.secure } else { &self.plain };
        proxy.as_ref().filter(|_| !self.matcher.as_ref().is_some_and(excepted))
    }
}

/// As a URL without user and password, and where it was read from.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("no proxy"),
            Self::Through(proxy) => write!(f, "{proxy}, from {}", proxy.from),
            Self::Environment(environment) => {
                let ways = [("wss://", &environment.secure), ("ws://", &environment.plain)];
                let known = ways.into_iter().filter_map(|(scheme, proxy)| Some((scheme, proxy.as_ref()?)));
                let shown: Vec<_> =
                    known.map(|(scheme, proxy)| format!("{proxy}, from {}, for {scheme}", proxy.from)).collect();
                f.write_str(&shown.join("; "))?;
                f.write_str(if environment.matcher.is_some() { ", but for the hosts of $no_proxy" } else { "" })
            }
        }
    }
}

impl Proxy {
    /// Reads a URL. What is wrong is told without it: it may hold a password.
    ///
    /// # Errors
    /// When it names no proxy that is known here: what it does wrong, to be put behind where it was read from.
    pub fn parse(url: &str, from: String) -> Result<Self, String> {
        let wrong = |what: &str| {
            Err(format!(
                "{what}: http://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the host where it asks for that"
            ))
        };
        let (scheme, rest) = url.trim().split_once("://").unwrap_or_else(|| ("http", url.trim()));
        let (kind, usual) = match &*scheme.to_ascii_lowercase() {
            "http" => (Kind::Http, 80),
            "socks5" | "socks5h" => (Kind::Socks, 1080),
            "https" => {
                return Err("names a proxy that is spoken to over TLS (https://), which is not built: write http://HOST:PORT or \
                            socks5://HOST:PORT; what goes through is encrypted end to end in any case"
                    .to_owned());
            }
            _ => return wrong("is no proxy that is known here"),
        };
        let (rest, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        if path.contains('@') {
            return wrong("has a /, ? or # in user or password, which are written %2F, %3F and %23");
        }
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(usual), |port| port.parse().ok()).filter(|port| *port != 0);
        let Some(port) = port else { return wrong("has no port that is one") };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return wrong("names no host");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decoded(user), Secret::new(decoded(password)))
        });
        // RFC 1929: a length is one byte.
        let long = |text: &str| text.len() > 255;
        if kind == Kind::Socks && login.as_ref().is_some_and(|(user, password)| long(user) || long(password.expose())) {
            return wrong("has a user or a password of more than 255 bytes, which SOCKS can not send");
        }
        Ok(Self { kind, host: host.to_owned(), port, login, from })
    }
}

/// As a URL, without user and password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks => "socks5",
        };
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{}{}{}:{}", brackets.0, self.host, brackets.1, self.port)
    }
}

/// Makes of what was typed how the venue is reached.
pub(super) fn review(draft: &draft::Net, review: &mut Review) -> Net {
    let bind = draft.bind.as_ref().and_then(|typed| {
        let address = typed.get_ref().parse();
        if address.is_err() {
            review.wrong(
                &typed.span(),
                "net.bind",
                "this is no address: one of this machine's own, \"192.0.2.7\" or \"2001:db8::7\"",
            );
        }
        address.ok()
    });
    let ip = draft.ip.as_ref().map_or(Family::Any, |typed| *typed.get_ref());
    let net = Net { route: Route::Direct, bind, ip };
    if let (Some(typed), Some(address)) = (&draft.ip, bind)
        && !net.takes(address)
    {
        review.wrong(&typed.span(), "net.ip", "net.bind is an address of the other family: leave one of the two out");
    }
    Net { route: route(draft, review).unwrap_or_default(), ..net }
}

/// None where what was typed is wrong, which is said.
fn route(draft: &draft::Net, review: &mut Review) -> Option<Route> {
    let Some(typed) = &draft.proxy else {
        return Route::of_environment(review.around).map_err(|problem| review.problems.push(problem)).ok();
    };
    let read = match typed.get_ref() {
        Source::Inline(text) if text == "none" => return Some(Route::Direct),
        Source::Inline(text) if text.contains('@') => Err(REFUSED.to_owned()),
        Source::Inline(text) => {
            Proxy::parse(text, "the configuration".to_owned()).map_err(|what| format!("this {what}"))
        }
        _ => {
            let (url, from) = credentials::text("net", "proxy", typed, review)?;
            Proxy::parse(url.expose(), from.clone()).map_err(|what| format!("{from} {what}"))
        }
    };
    match read {
        Ok(proxy) => Some(Route::Through(Arc::new(proxy))),
        Err(what) => {
            review.wrong(&typed.span(), "net.proxy", what);
            None
        }
    }
}

/// Why a password in the file is refused. It is not shown.
const REFUSED: &str = "a password does not belong into the configuration, which is copied, shown and committed: put the whole URL into \
     a file and write { file = \"PATH\" }, or { env = \"VARIABLE\" }, or { credential = \"NAME\" }";

#[cfg(test)]
mod tests {
    use super::*;

    fn around(env: &[(&str, &str)]) -> Surroundings {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Surroundings { env, directory: "/".into(), etc: "/etc".into() }
    }

    #[test]
    fn a_url_says_what_the_proxy_speaks_and_shows_no_password() {
        let proxy = Proxy::parse("socks5h://us%40er:pa%3Ass@[::1]:9050/", "$X".into()).expect("one");
        assert_eq!((proxy.kind, &*proxy.host, proxy.port), (Kind::Socks, "::1", 9050));
        let (user, password) = proxy.login.as_ref().expect("a login");
        assert_eq!((&**user, password.expose()), ("us@er", "pa:ss"));
        assert_eq!(proxy.to_string(), "socks5://[::1]:9050");
        assert!(!format!("{proxy:?}").contains("pa:ss"));
        for (url, shown) in
            [("proxy", "http://proxy:80"), ("http://p:3128", "http://p:3128"), ("socks5://p", "socks5://p:1080")]
        {
            assert_eq!(Proxy::parse(url, String::new()).expect(url).to_string(), shown);
        }
        for wrong in [
            "https://p:1",
            "ftp://p",
            "http://u:canary@p:none",
            "http://u:canary@p:0",
            "http://:80",
            "http://u:canary@/",
            "http://u:1234/canary@p:3128",
        ] {
            let error = Proxy::parse(wrong, "$X".into()).expect_err(wrong);
            assert!(error.contains("socks5://HOST:PORT") && !error.contains("canary"), "{error}");
        }
        let around = around(&[("HTTPS_PROXY", "https://p:3128")]);
        let told = Net::of_environment(&around).expect_err("not built").to_string();
        assert!(told.contains(": $HTTPS_PROXY names a proxy that is spoken to over TLS (https://)"), "{told}");
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let shown = |env: &[(&str, &str)], host: &str, secure| {
            let route = Net::of_environment(&around(env)).expect("proxies").route;
            route.proxy(host, secure).map(ToString::to_string)
        };
        let all = [("ALL_PROXY", "socks5://a:1"), ("https_proxy", "http://s:2"), ("HTTPS_PROXY", "http://t:3")];
        assert_eq!(shown(&all, "api.coinbase.com", true).as_deref(), Some("http://s:2"));
        assert_eq!(shown(&all, "api.coinbase.com", false).as_deref(), Some("socks5://a:1"));
        assert_eq!(shown(&[("HTTP_PROXY", "http://cgi:1")], "x", false), None, "httpoxy, CVE-2016-5385");
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(shown(&all, host, true), None, "{host}: the demo needs no proxy");
        }
        let but = [("HTTPS_PROXY", "http://s:2"), ("NO_PROXY", "coinbase.com, 192.0.2.0/24")];
        for (host, goes) in
            [("api.coinbase.com", false), ("192.0.2.9", false), ("x.y", true), ("notcoinbase.com", true)]
        {
            assert_eq!(shown(&but, host, true).is_some(), goes, "{host}");
        }
        let all = [("HTTPS_PROXY", "http://s:2"), ("no_proxy", " * ")];
        assert_eq!(shown(&all, "192.0.2.9", true), None, "* is addresses too");
    }
}
