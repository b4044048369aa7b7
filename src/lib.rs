//! tickerd keeps authenticated Coinbase WebSocket subscriptions alive and writes every message it receives as one line
//! of NDJSON.
//!
//! A pure conversation in the middle, thin edges around it: one reads the network, one writes the disk, one hears the
//! system. The modules stand in reading order, and each may use only those above it; `tests/tidy.rs` holds them to it,
//! and `docs/ARCHITECTURE.md` draws the map.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests of the pure core start their clocks somewhere"))]

// The pure core: no clock, no socket, no tokio. Time and randomness are arguments.
pub mod auth;
pub mod venue;
pub mod session;
pub mod account;
pub mod record;
pub mod segment;
pub mod backoff;
pub mod verdict;

// The edges: what the process was told to do...
pub mod config;

// ...what it takes from the system...
pub mod clock;
pub mod exit;
pub mod notify;
pub mod pace;
pub mod random;
pub mod shutdown;
pub mod status;
pub mod terminal;

// ...the disk, the network...
pub mod output;
pub mod log;
pub mod net;
pub mod desk;
pub mod rest;
pub mod inquiry;
pub mod refill;

// ...a connection, a feed, the daemon...
pub mod feed;
pub mod metrics;
pub mod http;
pub mod service;

// ...what it recorded, a year later...
pub mod audit;

// ...the exchange to test it against, the command line, and the commands.
pub mod simulator;
pub mod cli;
pub mod command;
