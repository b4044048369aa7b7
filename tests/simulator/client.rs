//! A client that does as it is told.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tickerd::simulator::{Ending, Simulator};
use tokio::{
    io::DuplexStream,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message},
};

/// Longer than any wait of the exchange; under paused time it costs nothing.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Client {
    pub socket: WebSocketStream<DuplexStream>,
    pub exchange: JoinHandle<Ending>,
}

impl Client {
    pub async fn connect(simulator: &Arc<Simulator>) -> Self {
        Self::try_connect(simulator, 1 << 16).await.expect("an upgrade")
    }

    pub async fn try_connect(simulator: &Arc<Simulator>, buffer: usize) -> Result<Self, tungstenite::Error> {
        let (near, far) = tokio::io::duplex(buffer);
        let exchange = tokio::spawn(Arc::clone(simulator).serve(far));
        let (socket, _) = client_async("ws://simulator", near).await?;
        Ok(Self { socket, exchange })
    }

    pub async fn say(&mut self, text: impl ToString) {
        self.socket.send(Message::text(text.to_string())).await.expect("sent");
    }

    pub async fn subscribe(&mut self, channel: &str, products: &[&str]) {
        self.say(json!({"type": "subscribe", "product_ids": products, "channel": channel})).await;
    }

    /// The next data message; None when the connection is over.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("an answer") {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Some(message),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn read(&mut self) -> Value {
        let message = self.next().await.expect("a message");
        serde_json::from_str(message.to_text().expect("text")).expect("JSON")
    }

    /// Everything up to the next ack, the ack last.
    pub async fn up_to_ack(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.read().await);
            if all.last().is_some_and(|last| last["channel"] == "subscriptions") {
                return all;
            }
        }
    }

    /// The set that the next ack lists.
    pub async fn set(&mut self) -> Value {
        self.up_to_ack().await.pop().expect("an ack")["events"][0]["subscriptions"].take()
    }

    /// The words of the next error.
    pub async fn refusal(&mut self) -> String {
        loop {
            let message = self.read().await;
            if message["type"] == "error" {
                assert!(message.get("sequence_num").is_none(), "errors have no number");
                return message["message"].as_str().expect("words").to_owned();
            }
        }
    }

    /// What comes in `span`.
    pub async fn within(&mut self, span: Duration) -> Vec<Value> {
        let end = Instant::now() + span;
        let mut all = Vec::new();
        while let Ok(Some(message)) = timeout_at(end, self.next()).await {
            all.push(serde_json::from_str(message.to_text().expect("text")).expect("JSON"));
        }
        all
    }

    /// How it ended: the code that this side saw, and what the exchange says.
    pub async fn end(mut self) -> (Option<u16>, Ending) {
        let mut code = None;
        while let Some(Ok(message)) = timeout(PATIENCE, self.socket.next()).await.expect("an end") {
            if let Message::Close(Some(frame)) = message {
                code = Some(u16::from(frame.code));
            }
        }
        drop(self.socket);
        (code, self.exchange.await.expect("no panic"))
    }
}
