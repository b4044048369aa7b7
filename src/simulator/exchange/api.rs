//! The REST interface, as it answers. Shapes are those of its docs, and those that the client reads in
//! `venue/exchange/rest.rs`.

use serde_json::{Value, json};

use super::frame::BALANCE;
use crate::{
    simulator::{counterpart::Facts, refusal::Refusal, rest::Resource},
    venue::Listed,
};

/// Who asks is always the same.
const USER: &str = "5844eceecf7e803e259d0365";

/// What a resource has to tell.
pub fn tell(resource: Resource, facts: &Facts<'_>) -> Result<Value, Refusal> {
    Ok(match resource {
        Resource::Time => {
            let now = facts.now;
            // Seconds as a number; three decimals are far within what an f64 holds.
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
            let epoch = now.as_millisecond() as f64 / 1_000.0;
            json!({"iso": now.strftime("%FT%T%.3fZ").to_string(), "epoch": epoch})
        }
        Resource::Permissions => json!({ "id": USER }),
        Resource::Accounts => json!([{
            "id": "71452118-efc7-4cc4-8780-a5e22d4baa53", "currency": "USD", "balance": BALANCE, "hold": "0",
            "available": BALANCE, "profile_id": "75da88c5-05bf-4f54-bc85-5c775bd68254", "trading_enabled": true,
        }]),
        Resource::Products | Resource::SignedProducts => facts.listed.iter().map(product).collect(),
        // Nobody asks for them: they do not name their product.
        Resource::Trades => return Err(Refusal::NoSuchResource),
    })
}

fn product(listed: &Listed) -> Value {
    let (base, quote) = listed.id.split_once('-').unwrap_or((&listed.id, ""));
    json!({
        "id": listed.id, "base_currency": base, "quote_currency": quote, "quote_increment": "0.01",
        "base_increment": "0.00000001", "display_name": format!("{base}-{quote}"), "min_market_funds": "1",
        "margin_enabled": false, "post_only": false, "limit_only": false, "cancel_only": false,
        "status": if listed.online { "online" } else { "delisted" }, "status_message": "",
        "trading_disabled": !listed.online, "fx_stablecoin": false, "auction_mode": false,
    })
}
