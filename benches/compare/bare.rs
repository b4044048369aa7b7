//! tickerd's own socket, and behind it no more than the floor has: what tokio-tungstenite costs, whatever a recorder does.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::PathBuf,
};

use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use tickerd::net::{Network, client_config, dial};
use tokio_tungstenite::tungstenite::Message;

/// As much as the floor writes at once.
const TOGETHER: usize = 256 * 1024;

/// usage: `bare URL CHANNEL [CA_FILE]`; lines go to stdout.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (url, channel) = arguments.next().zip(arguments.next()).ok_or("usage: bare URL CHANNEL [CA_FILE]")?;
    let network = Network::new(client_config(arguments.next().map(PathBuf::from).as_ref())?);
    let mut socket = dial(&network, &url).await?.socket;
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    for subscribe in [
        json!({"type": "subscribe", "channel": "heartbeats"}),
        json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": channel}),
    ] {
        socket.send(Message::text(subscribe.to_string())).await?;
    }
    let mut lines = Vec::with_capacity(2 * TOGETHER);
    while let Some(Ok(message)) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if let Message::Text(text) = message {
                lines.extend_from_slice(text.as_bytes());
                lines.push(b'\n');
            }
            let more = if lines.len() < TOGETHER { socket.next().now_or_never().flatten() } else { None };
            next = more.and_then(Result::ok);
        }
        output.write_all(&lines)?;
        lines.clear();
    }
    Ok(())
}
