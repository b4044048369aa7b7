//! One file a command: what it reads, what it starts, what it prints.

pub mod audit;
pub mod check;
pub mod credential;
pub mod demo;
pub mod doctor;
pub mod init;
pub mod run;
pub mod sign;
pub mod simulator;
pub mod status;

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::{
    auth::{Credentials, Signer, key::is_exchanges},
    cli::{Cli, Command},
    config::{self, ChoiceError, Config, Surroundings},
    exit::{Failure, Status},
    log,
    output::Routes,
    venue::{self, Venue, exchange::EXCHANGE},
};

/// Does what the command line says.
///
/// # Errors
/// As the command says, with the process's exit status.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Run(run) => run::run(cli, run),
        Command::Demo(demo) => demo::run(cli, demo),
        Command::Simulator(simulator) => simulator::run(cli, simulator),
        Command::Init => said(init::run(&mut io::stdout().lock())),
        Command::Status(options) => status::run(options, &surroundings()?, &mut io::stdout().lock()),
        Command::Audit(options) => audit::run(options, &mut io::stdout().lock()),
        Command::Doctor(options) => doctor::run(cli, options, &surroundings()?, &mut io::stdout().lock()),
        Command::Sign(options) => sign::run(cli, options, &surroundings()?, &mut io::stdout().lock()),
        Command::Credential(options) => {
            credential::run(options, cli.config.clone(), &surroundings()?, &mut io::stdout().lock())
        }
        Command::Check(check) => {
            let mut config = load(cli)?;
            let feeds = config.feeds.iter().map(|feed| feed.name.as_str());
            for obstacle in Routes::obstacles(&config.output, feeds) {
                if obstacle.is_for_everybody() {
                    return Err(Failure::new(Status::Config, obstacle));
                }
                config.warnings.push(format!("{obstacle} (this user, who may not be the daemon's)"));
            }
            if cli.quiet {
                // As `run` would: where this is a unit's ExecReload, they are for the journal.
                log::start(config::Log { level: cli.level(config.log.level), ..config.log });
                config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                return Ok(());
            }
            let mut out = io::stdout().lock();
            said(if check.json { check::print_json(&config, &mut out) } else { check::print(&config, &mut out) })
        }
    }
}

/// The configuration that the command line, the environment and a file make together.
fn load(cli: &Cli) -> Result<Config, Failure> {
    config::load(&cli.flags(), &surroundings()?).map_err(|error| {
        let status = if error.is_of_options() { Status::Usage } else { Status::Config };
        Failure::new(status, error)
    })
}

/// Why a command that signs once can not: 78 where a file or a key is to blame, 64 where it is what was typed.
fn no_credentials(error: ChoiceError) -> Failure {
    let status = match &error {
        ChoiceError::Config(error) if error.is_of_options() => Status::Usage,
        ChoiceError::Config(_) | ChoiceError::Unreadable(..) | ChoiceError::Key(..) => Status::Config,
        ChoiceError::Unknown(_)
        | ChoiceError::Unsigned(_)
        | ChoiceError::Several(_)
        | ChoiceError::Half(_)
        | ChoiceError::Nothing(_) => Status::Usage,
    };
    Failure::new(status, error)
}

fn surroundings() -> Result<Surroundings, Failure> {
    Surroundings::of_process().map_err(|error| Failure::new(Status::Config, error))
}

/// The venue that `--venue` names.
fn venue_named(name: &str) -> Result<&'static Venue, Failure> {
    Venue::named(name).ok_or_else(|| {
        let known: Vec<_> = venue::ALL.iter().map(|venue| venue.name).collect();
        Failure::new(Status::Usage, format!("--venue: \"{name}\" is no venue; there is {}", known.join(", ")))
    })
}

/// The venue that credentials are for of which nothing else says so: the one whose form they have, though they be incomplete,
/// else the first that takes them.
fn venue_of(credentials: &Credentials) -> &'static Venue {
    if let Signer::Hmac(secret) = credentials.signer()
        && is_exchanges(credentials.key(), secret.expose())
    {
        return &EXCHANGE;
    }
    venue::ALL.iter().find(|venue| venue.fits(credentials).is_ok()).unwrap_or(&venue::ALL[0])
}

/// Memory that holds keys is no core file's business. Where the system does not know this, `LimitCORE=0` still holds.
fn keep_out_of_core_files() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A reader of ours that has seen enough is no failure (`tickerd check | head -1`).
fn said(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Status::Output, format!("stdout can not be written to: {error}")))
        }
        _ => Ok(()),
    }
}

/// Runs one command's asynchronous part on this thread. Name lookups can not be cancelled; nobody waits for them.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Status::Bug, format!("no runtime: {error}")))?;
    let value = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(value)
}
