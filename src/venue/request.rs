//! A REST request as it is signed: what the venue hashes is a method, a path and a body, and each of them is spelt wrong
//! more often than it is forged.

use std::fmt;

/// One request, in the spelling that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// From its slash on, without query.
    pub path: String,
    /// What stands behind the `?`, without it; it travels, and some venues do not sign it.
    pub query: Option<String>,
    /// As it is sent; empty where there is none.
    pub body: String,
}

/// What proves who asks. It holds a signature: it goes to the socket, or to whoever asked `sign` for it, and nowhere else.
pub struct Proof {
    /// Header names and values, ready to be sent.
    pub headers: Vec<(&'static str, String)>,
    /// What was signed: the pre-hash, or the token's header and claims, encoded as they are signed.
    pub signed: String,
    /// The signature or, of a token, the whole token.
    pub signature: String,
    /// The `uri` claim of a token.
    pub uri: Option<String>,
}

/// What was spelt in a way that the venue does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Respelt {
    /// The method had small letters.
    Method,
    /// Scheme and host stood before the path.
    Host,
    /// The path did not begin with a slash.
    Slash,
}

impl Request {
    /// Takes a request as people write it, and says what had to be spelt anew.
    ///
    /// ```
    /// use tickerd::venue::{Request, Respelt};
    ///
    /// let (request, respelt) = Request::parse("get", "https://api.coinbase.com/api/v3/brokerage/accounts?limit=1", "");
    /// assert_eq!((&request.method[..], &request.path[..]), ("GET", "/api/v3/brokerage/accounts"));
    /// assert_eq!(request.query.as_deref(), Some("limit=1"));
    /// assert_eq!(respelt, [Respelt::Method, Respelt::Host]);
    /// ```
    #[must_use]
    pub fn parse(method: &str, target: &str, body: &str) -> (Self, Vec<Respelt>) {
        let mut respelt = Vec::new();
        let upper = method.trim().to_ascii_uppercase();
        if upper != method {
            respelt.push(Respelt::Method);
        }
        let mut rest = target.trim();
        if let Some((_, after)) = rest.split_once("://") {
            respelt.push(Respelt::Host);
            rest = after.find('/').map_or("/", |slash| &after[slash..]);
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            respelt.push(Respelt::Slash);
            format!("/{path}")
        };
        (Self { method: upper, path, query, body: body.to_owned() }, respelt)
    }

    /// A request without body, from parts that are known to be spelt right.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::parse("GET", target, "").0
    }

    /// Path and query, as the first line of the request has them.
    #[must_use]
    pub fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }
}

impl fmt::Display for Respelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "the method is signed in capitals",
            Self::Host => "scheme and host are not signed, only the path is",
            Self::Slash => "the path begins with a slash",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelt_right_stays() {
        let (request, respelt) = Request::parse("POST", "/api/v3/brokerage/orders", "{}");
        assert_eq!((request.target(), request.body), ("/api/v3/brokerage/orders".to_owned(), "{}".to_owned()));
        assert_eq!(respelt, []);
    }

    /// `ccxt#21640`: the query was signed with the path, so that only filtered calls were refused.
    #[test]
    fn the_query_is_set_apart() {
        let request = Request::get("/api/v3/brokerage/products?limit=1&x=?");
        assert_eq!((&request.path[..], request.query.as_deref()), ("/api/v3/brokerage/products", Some("limit=1&x=?")));
        assert_eq!(request.target(), "/api/v3/brokerage/products?limit=1&x=?");
    }

    #[test]
    fn each_slip_is_named() {
        let of = |method, target| Request::parse(method, target, "");
        let (request, respelt) = of(" get ", "api/v3/brokerage/accounts");
        assert_eq!((&request.method[..], &request.path[..]), ("GET", "/api/v3/brokerage/accounts"));
        assert_eq!(respelt, [Respelt::Method, Respelt::Slash]);
        assert_eq!(of("GET", "https://api.coinbase.com").0.path, "/");
    }
}
