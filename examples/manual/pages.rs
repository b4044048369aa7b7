//! What the command line says of itself, as pages of the manual, one a command, and as completions, one a shell.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use tickerd::cli::Cli;

/// The documented configuration, which is a page of its own.
const CONFIGURATION: &str = include_str!("../../config.toml");

/// Writes `tickerd.1`, `tickerd-run.1` and so on, `tickerd.toml.5`, `tickerd.bash`, `_tickerd` and `tickerd.fish`.
///
/// # Errors
/// When the folder can not be written to.
pub fn write(folder: &Path) -> io::Result<()> {
    let mut cli = Cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut cli, "tickerd", folder)?;
    }
    // Each command is then known by its whole name, as in "tickerd-sign-ws".
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    page(&cli, folder)?;
    configuration(&mut File::create(folder.join("tickerd.toml.5"))?)
}

fn page(command: &Command, folder: &Path) -> io::Result<()> {
    let version = command.get_version().unwrap_or_default();
    let manual = Man::new(command.clone()).manual("tickerd").source(format!("tickerd {version}"));
    let mut text = Vec::new();
    manual.render(&mut text)?;
    // What follows the help is an "extra" to clap; to us it is examples, whose columns are not to be filled up.
    let text = String::from_utf8_lossy(&text);
    let text = text.replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n").replace(".SH VERSION", ".fi\n.SH VERSION");
    fs::write(folder.join(manual.get_filename()), text)?;
    command.get_subcommands().try_for_each(|below| page(below, folder))
}

/// In roff a line that begins with a dot or an apostrophe is an order, and a backslash begins one.
fn configuration(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, ".TH tickerd.toml 5 \"\" \"\" tickerd\n.SH NAME\ntickerd.toml \\- configuration of tickerd(1)")?;
    writeln!(out, ".SH DESCRIPTION\n.nf")?;
    for line in CONFIGURATION.lines() {
        writeln!(out, "\\&{}", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))?;
    }
    writeln!(
        out,
        ".fi\n.SH FILES\n.nf\n/etc/tickerd/config.toml\n/etc/tickerd/NAME.toml  of tickerd@NAME.service\n.fi"
    )?;
    writeln!(out, ".SH SEE ALSO\ntickerd(1), tickerd\\-check(1), systemd.service(5)")
}
