//! `tickerd run`: the daemon.

use std::sync::Arc;

use super::{block_on, keep_out_of_core_files, load, surroundings as of_process};
use crate::{
    cli::{self, Cli},
    clock::Clock,
    config::{Config, Route},
    exit::{Failure, Status},
    log,
    net::{Network, client_config},
    notify::Manager,
    random::Random,
    service::{self, Limits, Run, Signals, Surroundings},
    status::{Folders, Sheet},
};

/// Keeps every configured feed alive and records what it delivers.
///
/// # Errors
/// As [`service::run`], and when the configuration is wrong.
pub fn run(cli: &Cli, options: &cli::Run) -> Result<(), Failure> {
    keep_out_of_core_files();
    let config = load(cli)?;
    log::start(crate::config::Log { level: cli.level(config.log.level), ..config.log });
    say_what_is_run(&config);

    let tls = client_config(config.ca_file.as_ref()).map_err(|error| Failure::new(Status::Config, error))?;
    let limits = Limits { lines: options.until.lines, time: options.until.seconds };
    block_on(async {
        let random = Random::system();
        let surroundings = Surroundings {
            dial: Arc::new(Network::new(tls).reached(config.net.clone())),
            clock: Clock::system(),
            run: Arc::new(Run::new(&random)),
            random,
            sheet: Sheet::of_process(&Folders::new(&of_process()?), Manager::is_present()),
            signals: Signals::listen().map_err(|error| Failure::new(Status::Bug, format!("no signals: {error}")))?,
            reread: Box::new({
                let cli = cli.clone();
                move |old| load(&cli).map(|new| old.changes(&new)).map_err(|failure| failure.message)
            }),
        };
        service::run(config, limits, surroundings).await
    })?
}

fn say_what_is_run(config: &Config) {
    let version = env!("TICKERD_VERSION");
    match &config.source {
        Some(path) => tracing::info!("tickerd {version}, configuration {}", path.display()),
        None => tracing::info!("tickerd {version}, configuration from the command line"),
    }
    if !matches!(config.net.route, Route::Direct) {
        tracing::info!("through the proxy {}", config.net.route);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
