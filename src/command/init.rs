//! `tickerd init`: a commented configuration to start from.

use std::io::{self, Write};

/// The configuration that is shipped: every key with its default, and it works as it stands.
pub const SHIPPED: &str = include_str!("../../config.toml");

/// Prints it.
///
/// # Errors
/// When `out` takes no more.
pub fn run(out: &mut impl Write) -> io::Result<()> {
    out.write_all(SHIPPED.as_bytes())?;
    out.flush()
}
