//! The ways in which signing goes wrong: one table, that everything which judges credentials points into. Its words are
//! Advanced Trade's; where another venue is otherwise, so is its row, in a file of the venue's own.

mod exchange;

use crate::venue::{self, Venue};

/// One way in which signing goes wrong; one is none, and is refused all the same. The order is the table's: what is new
/// stands last, for people quote the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is described by its row of the table: title, why and remedy")]
pub enum Mistake {
    Swapped,
    LegacyKey,
    OtherVenuesKey,
    EscapedNewlines,
    FlattenedPem,
    BareBase64,
    WrongAlgorithm,
    PublicKey,
    StrayWhiteSpace,
    Clock,
    Milliseconds,
    Decimals,
    TimestampDiffers,
    Stale,
    Encoding,
    SecretDecoding,
    QueryInPath,
    Uri,
    Prehash,
    ProductSpelling,
    ChannelName,
    ChannelsPlural,
    PrivateChannel,
    AllowedIps,
    Permission,
    KeyState,
    OldIssuer,
    SignatureForm,
    BadToken,
    RateLimit,
    TooMany,
    Shadowed,
    OtherRecipe,
    Placeholder,
    Url,
    Passing,
    Passphrase,
    TooSlow,
    TooLong,
    KeyFile,
}

use Mistake as M;

struct Row {
    mistake: Mistake,
    title: &'static str,
    why: &'static str,
    remedy: &'static str,
}

const fn row(mistake: Mistake, title: &'static str, why: &'static str, remedy: &'static str) -> Row {
    Row { mistake, title, why, remedy }
}

#[rustfmt::skip]
const TABLE: [Row; 40] = [
    row(M::Swapped, "key and secret are swapped, or are not a pair",
        "the venue looks for a key of that name and has none",
        "put the key's name (organizations/…/apiKeys/…) under key, and the private key under secret; that is never sent"),
    row(M::LegacyKey, "an HMAC key of Advanced Trade",
        "Coinbase expired all of them in February 2025",
        "make a CDP key at https://portal.cdp.coinbase.com"),
    row(M::OtherVenuesKey, "another venue's key",
        "Exchange, Prime and Advanced Trade each know only their own keys",
        "make a CDP key at https://portal.cdp.coinbase.com for Advanced Trade; it has no passphrase"),
    row(M::EscapedNewlines, "line breaks written out as \\n",
        "most clients can not read a PEM that has a backslash and an n where its lines should end",
        "keep the key in a file, or turn each \\n into a line break"),
    row(M::FlattenedPem, "a PEM that is wrapped otherwise than it was given out, or is damaged",
        "quotes, or a lost or added line, keep strict readers from parsing it",
        "copy the key again, from -----BEGIN to the end of the last line, into a file of its own"),
    row(M::BareBase64, "no PEM markers, or not the whole key",
        "without BEGIN and END its length decides what it is taken for",
        "copy the key again, whole, as the CDP portal shows it"),
    row(M::WrongAlgorithm, "an algorithm that is not the key's",
        "ES256 is for EC keys, EdDSA for Ed25519 keys; a signature by the other one verifies nothing",
        "let the key decide: its bytes say what it is, its label does not"),
    row(M::PublicKey, "a public key in place of the private one",
        "a public key can check signatures and make none",
        "use the private key, which the CDP portal shows once, when the key is made"),
    row(M::StrayWhiteSpace, "white space around key or secret",
        "it is signed, or looked up, as part of the text",
        "store it without: `printf %s` writes no line break, `echo` and a heredoc do"),
    row(M::Clock, "this machine's clock is wrong",
        "a signature counts for 30 s either way; a token not before its nbf, and not after its exp",
        "synchronise the clock (systemd-timesyncd, chrony; `wsl --shutdown` after sleep)"),
    row(M::Milliseconds, "a time in milliseconds",
        "it is read as seconds and lies thousands of years ahead",
        "send whole seconds since 1970"),
    row(M::Decimals, "a time with decimals",
        "only whole seconds are taken",
        "send whole seconds since 1970, without a point"),
    row(M::TimestampDiffers, "the time that was signed is not the one that was sent",
        "the venue computes the signature from the timestamp that it receives",
        "read the clock once, and sign and send that same text"),
    row(M::Stale, "a signature or token that is too old, or is to live too long",
        "a signature counts for 30 s and a token for 2 minutes, so one that is kept fails at the first reconnect",
        "sign anew for every message, when it can be sent"),
    row(M::Encoding, "the signature is in another encoding, or is another hash's",
        "Advanced Trade compares 64 lower-case hex digits, and takes neither capitals nor base64",
        "write the 32 bytes of HMAC-SHA256 as lower-case hex"),
    row(M::SecretDecoding, "the secret is not used as its own text",
        "Advanced Trade's is the HMAC key as it is written; the Exchange's is base64 to be decoded first",
        "use the bytes of the secret's text as the key"),
    row(M::QueryInPath, "the query is signed with the path",
        "the venue signs the path up to the question mark",
        "sign without `?` and what follows, and send it all the same"),
    row(M::Uri, "method, path or host are not spelt as they are signed",
        "the venue signs METHOD in capitals and the path from its slash on; a WebSocket token has no uri",
        "leave uri out of a WebSocket token; REST's is `GET api.coinbase.com/api/…`, without https:// and query; HMAC signs `GET/api/…`"),
    row(M::Prehash, "what was signed is put together wrongly",
        "any other order, separator or content gives another signature",
        "sign timestamp + channel + products joined by commas, in the message's order; for REST timestamp + METHOD + path + body"),
    row(M::ProductSpelling, "a product's name is misspelt",
        "the venue leaves what it does not know out of its answer, without a word",
        "write products in capitals with hyphens: BTC-USD"),
    row(M::ChannelName, "the venue has no channel of that name",
        "it says \"authentication failure\" of channels that it does not know",
        "subscribe by the names that the documentation has: heartbeats, level2, market_trades, …"),
    row(M::ChannelsPlural, "`channels` in place of `channel`, or another field missing or misnamed",
        "Advanced Trade takes one channel a message, the Exchange a list of them",
        "send \"type\": \"subscribe\", \"channel\": \"level2\" and product_ids, a message for each channel; signed, with api_key, timestamp and signature, or with jwt alone"),
    row(M::PrivateChannel, "a private channel without credentials, or a channel on the wrong host",
        "user and futures_balance_summary want a signature; the user endpoint carries no market data",
        "sign it; take market channels from wss://advanced-trade-ws.coinbase.com"),
    row(M::AllowedIps, "the key is bound to other IP addresses",
        "the venue refuses from anywhere else; IPv6 or a new NAT is elsewhere",
        "add this machine's address to the key's list in the CDP portal; net.ip = \"4\" and net.bind choose the address"),
    row(M::Permission, "the key lacks a permission, or is of another portfolio",
        "subscribing to private channels takes the permission to view",
        "make a key that may view this portfolio, in the CDP portal"),
    row(M::KeyState, "the key is unknown, disabled, deleted or too new",
        "the venue does not know it, no longer, or not yet",
        "look for it in the CDP portal; wait some minutes if it is new; else make another"),
    row(M::OldIssuer, "a token as it was made before May 2024",
        "the issuer was \"coinbase-cloud\" and there was an audience; both are refused now",
        "set iss to \"cdp\" and leave aud out"),
    row(M::SignatureForm, "the signature's form or curve is another",
        "a token takes the 64 bytes r||s on P-256, not DER and no other curve",
        "sign as JWS does (IEEE P1363 form), with the P-256 key that the CDP portal made"),
    row(M::BadToken, "a token that is damaged, or that this key did not sign",
        "a bad token is refused even where none is needed",
        "make it from the configured key, or leave it out on public channels"),
    row(M::RateLimit, "asked too fast",
        "the venue takes 8 messages a second and refuses the rest",
        "send subscribes at least 125 ms apart"),
    row(M::TooMany, "more than one connection may carry",
        "level2 takes 30 products a connection",
        "spread the products over more connections"),
    row(M::Shadowed, "a variable of the environment holds another key",
        "clients take COINBASE_API_KEY and COINBASE_API_SECRET unasked, an old one as well",
        "unset it, or make it hold the same"),
    row(M::OtherRecipe, "signed by another interface's recipe",
        "WebSocket signs channel and products, REST method and path, the Exchange `GET/users/self/verify`",
        "for a WebSocket sign timestamp + channel + products joined by commas; for REST timestamp + METHOD + path + body"),
    row(M::Placeholder, "a placeholder that was never filled in, or nothing",
        "the text of an example is no key",
        "fill in the key's name and the private key as the CDP portal showed them"),
    row(M::Url, "an address that is not the venue's",
        "a REST address, or one without scheme, answers no WebSocket, and another venue knows no key of this one",
        "use wss://advanced-trade-ws.coinbase.com, or leave url out; for REST https://api.coinbase.com"),
    row(M::Passing, "no mistake: a refusal of the venue's that passes",
        "its edge was seen to refuse good tokens for seconds to minutes (coinbase-advanced-py#19, #132)",
        "ask again with a new token, more slowly each time; tickerd does so by itself"),
    row(M::Passphrase, "the passphrase is missing, or is not the key's",
        "whoever made the key chose it then, and the venue compares it with each signature",
        "use that one, beside key and secret; where it is lost, make another key"),
    row(M::TooSlow, "read too slowly",
        "the venue cuts whoever takes its messages more slowly than it sends them",
        "look for what holds the reader up (a full disk, a stalled pipe, a narrow line), or ask for fewer channels and products"),
    row(M::TooLong, "a message that is longer than the venue reads",
        "it drops what is too long, and the connection with it",
        "spread the products over several messages"),
    row(M::KeyFile, "a key file that is not the portal's JSON, or is cut off",
        "name or id, and privateKey, are read from it, and what is missing there nobody can make up for",
        "download it again from https://portal.cdp.coinbase.com and use it unchanged; where it is not given out twice, make another key"),
];

/// What is otherwise at a venue than the table says.
const OTHERWISE: &[(&Venue, &[Row])] = &[(&venue::exchange::EXCHANGE, exchange::ROWS)];

const fn all() -> [Mistake; TABLE.len()] {
    let mut all = [M::Swapped; TABLE.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = TABLE[at].mistake;
        at += 1;
    }
    all
}

impl Mistake {
    /// Every one, in the table's order.
    pub const ALL: [Self; TABLE.len()] = all();

    /// Its number in the table, from 1.
    #[must_use]
    pub fn row(self) -> u8 {
        self as u8 + 1
    }

    /// What it is, in one short line.
    #[must_use]
    pub fn title(self, venue: &Venue) -> &'static str {
        self.entry(venue).title
    }

    /// Why the venue refuses it.
    #[must_use]
    pub fn why(self, venue: &Venue) -> &'static str {
        self.entry(venue).why
    }

    /// What to do at the venue.
    #[must_use]
    pub fn remedy(self, venue: &Venue) -> &'static str {
        self.entry(venue).remedy
    }

    fn entry(self, venue: &Venue) -> &'static Row {
        let own = OTHERWISE.iter().filter(|(other, _)| other.name == venue.name).flat_map(|(_, rows)| *rows);
        own.into_iter().find(|row| row.mistake == self).unwrap_or(&TABLE[self as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_stands_in_its_own_row() {
        for (place, mistake) in Mistake::ALL.into_iter().enumerate() {
            assert_eq!(mistake as usize, place, "{mistake:?}");
            for venue in venue::ALL {
                for text in [mistake.title(venue), mistake.why(venue), mistake.remedy(venue)] {
                    assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n'), "{text}");
                }
            }
        }
        let numbers = [M::Swapped, M::Url, M::Passing, M::Passphrase, M::TooSlow, M::TooLong, M::KeyFile].map(M::row);
        assert_eq!(numbers, [1, 35, 36, 37, 38, 39, 40]);
    }

    #[test]
    fn nobody_is_told_what_is_right_elsewhere() {
        for mistake in Mistake::ALL {
            let words =
                [Mistake::title, Mistake::why, Mistake::remedy].map(|of| of(mistake, &venue::exchange::EXCHANGE));
            for elsewhere in ["CDP", "lower-case hex", "jwt", "advanced-trade", "organizations/", "-----BEGIN"] {
                assert!(!words.iter().any(|words| words.contains(elsewhere)), "{mistake:?}: {words:?}");
            }
        }
        for (venue, rows) in OTHERWISE {
            for (at, row) in rows.iter().enumerate() {
                assert!(
                    rows[..at].iter().all(|other| other.mistake < row.mistake),
                    "{}: {:?}",
                    venue.name,
                    row.mistake
                );
            }
        }
    }
}
