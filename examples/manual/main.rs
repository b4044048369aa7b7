//! Writes the manual and the shells' completions into a folder, for packages: `cargo run --example manual -- FOLDER`. An example
//! and not a command, so that the program carries none of it.

mod pages;

use std::{io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("say where: cargo run --example manual -- FOLDER"))?;
    std::fs::create_dir_all(&folder)?;
    pages::write(&folder)
}
