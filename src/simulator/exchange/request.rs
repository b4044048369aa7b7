//! What a client sends over its WebSocket: a subscribe or an unsubscribe of any number of channels.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    simulator::{
        counterpart::{Request, Wanted},
        gate::Proof,
        refusal::Refusal,
    },
    venue::{Channel, Products, exchange::EXCHANGE},
};

/// For whoever reads the exchange's log.
const FORM: &str = "it should be {\"type\":\"subscribe\",\"channels\":[{\"name\":\"…\",\"product_ids\":[…]}, …]}";

/// What two of its channels are called as well.
const ALIASES: [(&str, &str); 2] = [("ticker_1000", "ticker_batch"), ("level2_50", "level2_batch")];

#[derive(Deserialize)]
struct Text {
    r#type: String,
    #[serde(default)]
    channels: Vec<Asked>,
    #[serde(default)]
    product_ids: Vec<String>,
    key: Option<String>,
    passphrase: Option<String>,
    timestamp: Option<Value>,
    signature: Option<String>,
}

/// A channel, by its name alone or with what is wanted of it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Name(String),
    Of {
        name: String,
        #[serde(default)]
        product_ids: Vec<String>,
        #[serde(default)]
        account_ids: Vec<String>,
    },
}

/// Reads what a client sent.
pub fn read(text: &str) -> Result<Request, Refusal> {
    // serde_json's message could quote a value.
    let text: Text = serde_json::from_str(text)
        .map_err(|error| Refusal::Unreadable(format!("line {}, column {}: {FORM}", error.line(), error.column())))?;
    let subscribe = match text.r#type.as_str() {
        "subscribe" => true,
        "unsubscribe" => false,
        _ => return Err(Refusal::Unreadable("type is neither subscribe nor unsubscribe".to_owned())),
    };
    if text.channels.is_empty() {
        return Err(Refusal::NoChannels);
    }
    if !text.product_ids.is_empty() {
        return Err(Refusal::ProductsAtRoot);
    }
    let wanted = text.channels.into_iter().map(|asked| wanted(asked, subscribe)).collect::<Result<_, _>>()?;
    let proof = match (text.key, text.timestamp, text.signature, text.passphrase) {
        (None, None, None, None) => Proof::None,
        (key, timestamp, signature, passphrase) => Proof::Hmac { key, timestamp, signature, passphrase },
    };
    Ok(Request { subscribe, wanted, proof })
}

/// Who takes a channel away and names nothing takes all of it away.
fn wanted(asked: Asked, subscribe: bool) -> Result<Wanted, Refusal> {
    let (name, products, accounts) = match asked {
        Asked::Name(name) => (name, Vec::new(), Vec::new()),
        Asked::Of { name, product_ids, account_ids } => (name, product_ids, account_ids),
    };
    let channel = channel(&name).ok_or(Refusal::UnknownChannel(name))?;
    match channel.products {
        Products::Required if subscribe && products.is_empty() => Err(Refusal::NoProducts(channel.name)),
        Products::Accounts if subscribe && accounts.is_empty() => Err(Refusal::NoAccounts(channel.name)),
        Products::Accounts => Ok(Wanted { channel, of: accounts }),
        Products::None => Ok(Wanted { channel, of: Vec::new() }),
        Products::Required | Products::Optional => Ok(Wanted { channel, of: products }),
    }
}

fn channel(name: &str) -> Option<&'static Channel> {
    let known = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, known)| known);
    EXCHANGE.channel(known)
}
