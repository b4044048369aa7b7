//! Who is examined: the feeds of a configuration, or credentials with a feed made for them.

use std::{path::PathBuf, sync::Arc};

use super::report::{Outcome, Report};
use crate::{
    auth::Credentials,
    cli::{self, Cli},
    command::{no_credentials, venue_named, venue_of},
    config::{self, ChoiceError, Chosen, Config, ConfigError, Feed, Flags, HMAC_EXPIRED, Net, Origin, Surroundings},
    exit::{Failure, Status},
    venue::{self, Venue},
    verdict,
};

/// Feeds, and the credentials that they sign with.
pub(super) struct Patient {
    /// Where they are from, for people.
    pub source: String,
    pub feeds: Vec<Feed>,
    pub credentials: Vec<Origin>,
    pub ca_file: Option<PathBuf>,
    /// How the venue is reached.
    pub net: Net,
    pub warnings: Vec<String>,
    /// What is worth saying of credentials that no configuration was asked for.
    pub of_credentials: Vec<String>,
}

/// Whom what was typed means.
pub(super) enum Admission {
    /// Somebody.
    Patient(Patient),
    /// Nobody; a pasted message can be looked at without a secret.
    Nobody,
    /// What was typed is wrong, and that is told.
    Wrong,
}

/// Whether the feed signs with these.
pub(super) fn uses(feed: &Feed, credentials: &Arc<Credentials>) -> bool {
    feed.credentials.as_ref().is_some_and(|own| Arc::ptr_eq(own, credentials))
}

/// The configuration's feeds, or the one of a name. Else, and where it signs nothing, a pair of credentials: of a file,
/// stored, or in the environment.
pub(super) fn admit(
    cli: &Cli,
    typed: &cli::Doctor,
    around: &Surroundings,
    report: &mut Report,
) -> Result<Admission, Failure> {
    let cli::Which { credentials, feed, key_file } = &typed.which;
    let venue = typed.venue.as_deref().map(venue_named).transpose()?;
    let mut configured = None;
    if key_file.is_none() && credentials.is_none() && typed.url.is_none() && venue.is_none() {
        let flags = Flags { config: cli.config.clone(), feed: feed.clone(), ..Flags::default() };
        match config::load(&flags, around) {
            Ok(config) if !config.credentials.is_empty() || feed.is_some() => {
                return Ok(Admission::Patient(Patient::from(config)));
            }
            Ok(config) => configured = Some(Patient::from(config)),
            Err(ConfigError::Nothing { .. }) => {}
            Err(error) => return wrong(error, report),
        }
    }
    let chosen = match config::choose(&typed.which.choice(cli.config.clone()), around) {
        Ok(chosen) => chosen,
        Err(ChoiceError::Config(error)) => return wrong(error, report),
        Err(ChoiceError::Key(from, error)) => {
            let what = format!("from {from}: {error}");
            let venue = venue.unwrap_or(venue::ALL[0]);
            report.found("credentials", what, venue, vec![verdict::of_key_error(&error)]);
            return Ok(Admission::Wrong);
        }
        Err(ChoiceError::Nothing(_)) if configured.is_some() || typed.message.is_some() => {
            return Ok(configured.map_or(Admission::Nobody, Admission::Patient));
        }
        Err(error) => return Err(no_credentials(error)),
    };
    match Patient::of(chosen, cli.config.clone(), typed.url.clone(), venue, around) {
        Ok(patient) => Ok(Admission::Patient(match configured {
            Some(configured) => configured.and(patient),
            None => patient,
        })),
        Err(error) => wrong(error, report),
    }
}

/// What is wrong with a configuration that can be read is what the doctor has to tell.
fn wrong(error: ConfigError, report: &mut Report) -> Result<Admission, Failure> {
    let ConfigError::Wrong(problems) = error else { return Err(Failure::new(Status::Config, error)) };
    for problem in &problems {
        match problem.finding() {
            Some(finding) => {
                let venue = problem.venue.and_then(Venue::named).unwrap_or(venue::ALL[0]);
                report.found("configuration", problem.to_string(), venue, vec![finding]);
            }
            None => report.add("configuration", Outcome::Unknown, problem.to_string()),
        }
    }
    Ok(Admission::Wrong)
}

impl From<Config> for Patient {
    fn from(config: Config) -> Self {
        let Config { source, feeds, credentials, ca_file, net, mut warnings, .. } = config;
        // That is a finding, and said as one.
        warnings.retain(|warning| warning != HMAC_EXPIRED);
        let source = source.map_or_else(|| "options alone".to_owned(), |path| path.display().to_string());
        Self { source, feeds, credentials, ca_file, net, warnings, of_credentials: Vec::new() }
    }
}

impl Patient {
    /// The feeds of a configuration, of which none signs, with credentials that are there all the same.
    fn and(mut self, credentials: Self) -> Self {
        let froms: Vec<_> = credentials.credentials.iter().map(|origin| origin.key_from.as_str()).collect();
        self.source =
            format!("{}, in which no feed has credentials; and the credentials of {}", self.source, froms.join(", "));
        self.feeds.extend(credentials.feeds);
        self.credentials = credentials.credentials;
        self.warnings.extend(credentials.warnings);
        self.of_credentials.extend(credentials.of_credentials);
        self
    }

    /// Credentials with the feeds that sign with them, at `venue` if one is named; where there are none, with one that has a
    /// public channel and a private, reached as the configuration says that `file` names or that is found.
    fn of(
        chosen: Chosen,
        file: Option<PathBuf>,
        url: Option<String>,
        venue: Option<&Venue>,
        around: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let Chosen { origin, config, warnings: of_credentials } = chosen;
        let (ca_file, net) = match &config {
            Some(config) => (config.ca_file.clone(), config.net.clone()),
            None => config::reach(file, around)?,
        };
        let mut feeds = config.map_or_else(Vec::new, |config| config.feeds);
        let name = origin.credentials.name();
        let is_at = |feed: &Feed| url.is_none() && venue.is_none_or(|venue| venue.name == feed.venue.name);
        feeds.retain(|feed| is_at(feed) && feed.credentials.as_ref().is_some_and(|own| own.name() == name));
        if feeds.is_empty() {
            let [channels, products] = [["ticker_batch"], ["BTC-USD"]].map(|words| words.map(str::to_owned).to_vec());
            let venue = venue.unwrap_or_else(|| venue_of(&origin.credentials)).name.to_owned();
            let feed = Some("doctor".to_owned());
            let flags = Flags { channels, products, url, feed, venue: Some(venue), ..Flags::default() };
            feeds = config::load(&flags, around)?.feeds;
            for feed in &mut feeds {
                feed.channels.extend(feed.venue.channel("user"));
            }
        }
        // They were read twice, and are one.
        for feed in &mut feeds {
            feed.credentials = Some(origin.credentials.clone());
        }
        let source = format!("none: the credentials alone, of {}", origin.key_from);
        Ok(Self { source, feeds, credentials: vec![origin], ca_file, net, warnings: Vec::new(), of_credentials })
    }
}
