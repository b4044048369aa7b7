//! The life of the process: arguments, command, exit code. The only place that exits.

use std::{
    io::{self, Write},
    panic,
    process::{self, ExitCode},
};

use clap::Parser;
use tickerd::{auth, cli::Cli, command, exit::Status, log};

fn main() -> ExitCode {
    exit_on_panic();
    if std::env::args_os().any(|argument| auth::is_secret(&argument.to_string_lossy())) {
        say(
            "tickerd: an argument is a secret, or looks like one, and every process on this machine can read it there, and the \
             shell keeps it in its history: give the name of a file (./NAME where it only looks like one), and have a new key made",
        );
        return Status::Usage.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Status::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match command::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                say(&format!("tickerd: {}", failure.message));
            }
            failure.status.into()
        }
    }
}

/// The last word. The journal takes the priority of an error from each line's own start.
fn say(text: &str) {
    let priority = if log::is_to_journal() { "<3>" } else { "" };
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{priority}{line}");
    }
}

/// A panic on any thread is a bug of ours and ends the process: a daemon with a dead writer and a living reader would be
/// the silence that it promises never to be.
fn exit_on_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        print(info);
        say("tickerd: this is a bug; please report the lines above");
        #[allow(clippy::disallowed_methods, reason = "the one place that ends the process")]
        process::exit(Status::Bug as i32);
    }));
}
