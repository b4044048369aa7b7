//! Finds the file, lays variables and options over it, and makes a [`Config`] of it all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytesize::ByteSize;
use toml::Spanned;

use super::{
    Config, Feed, Flags, Log, LogFormat, Net, Origin, Output, Ready, Service, Store, Surroundings, WhenSlow,
    credentials::{self, HMAC_EXPIRED},
    draft::{self, Draft},
    feed, http,
    layers::Layers,
    mixture,
    nearest::hint,
    net, output,
    place::{Place, Problem},
    review::Review,
    surroundings::read,
};
use crate::auth::{Credentials, Signer};

/// The longest configuration that is read: a thousand feeds fit into it, a device or a recording taken for one does not.
const LONGEST_FILE: u64 = 1 << 20;

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// No file was found and no flags say what to do.
    Nothing {
        /// Where a file was looked for.
        searched: Vec<PathBuf>,
    },
    /// The file can not be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What named it; None where it was found.
        named_by: Option<&'static str>,
        /// Why not.
        cause: io::Error,
    },
    /// What was typed is wrong.
    Wrong(Vec<Problem>),
}

/// Reads and checks everything.
///
/// # Errors
/// When there is nothing to do, or anything is wrong with what was typed: all that is wrong at once, as far as possible.
pub fn load(flags: &Flags, around: &Surroundings) -> Result<Config, ConfigError> {
    let mut warnings = Vec::new();
    let file = find(flags, around, &mut warnings)?;
    let source = file.as_ref().map(|(path, _)| around.directory.join(path));
    let mut settings = around.settings(&mut warnings);
    settings.extend(flags.settings());
    let own_feed = flags.own_feed();
    let layers = Layers {
        file: file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())),
        settings: &settings,
        feed: own_feed.as_deref(),
    };
    let mut draft = layers.read().map_err(ConfigError::Wrong)?;
    let mut review = Review { layers: &layers, around, problems: Vec::new(), warnings };

    add_stored(&mut draft, &Store::new(around));
    let mut wanted = wanted(&draft, &mut review);
    if own_feed.is_none()
        && let Some(name) = &flags.feed
    {
        only(name, &mut draft, &mut review);
        wanted.retain(|_, feeds| feeds.contains(name));
    }
    let credentials: BTreeMap<_, _> = wanted
        .iter()
        .filter_map(|(name, feeds)| {
            let typed = draft.credentials.get(name)?;
            let by = format!("feed {}", feeds.iter().map(|feed| format!("\"{feed}\"")).collect::<Vec<_>>().join(", "));
            Some((name.clone(), credentials::review(name, typed, &by, &mut review)?))
        })
        .collect();
    let known: Vec<_> = draft.credentials.keys().map(String::as_str).collect();
    let feeds = feed::review(&draft.feed, &credentials, &known, &mut review);
    if feeds.iter().any(has_expired) {
        review.warnings.push(HMAC_EXPIRED.to_owned());
    }
    let output = output::review(&draft.output, &mut review);
    let service = service(&draft.service, &mut review);
    let ca_file = draft.tls.ca_file.as_ref().and_then(|typed| ca_file(typed, &mut review));
    let net = net::review(&draft.net, &mut review);
    let http = http::review(&draft.http, &mut review);
    let output = match output {
        Some(output) if review.problems.is_empty() => output,
        _ => return Err(ConfigError::Wrong(review.problems)),
    };
    review.warnings.extend(crowded_out(&output, &feeds));
    review.warnings.extend(mixture::warnings(&output, &feeds));
    Ok(Config {
        source,
        output,
        feeds,
        credentials: credentials.into_values().collect(),
        service,
        log: Log {
            level: draft.log.level.map_or(tracing::Level::INFO, Into::into),
            format: draft.log.format.unwrap_or(LogFormat::Auto),
        },
        ca_file,
        net,
        http,
        warnings: review.warnings,
    })
}

/// Where messages are dropped rather than kept waiting, one that finds no room beside another of its size, which is being
/// written, is lost whenever that happens, however fast the reader is.
fn crowded_out(output: &Output, feeds: &[Feed]) -> Option<String> {
    let channels = feeds.iter().flat_map(|feed| &feed.channels);
    let longest = channels.max_by_key(|channel| channel.longest_line)?;
    let needs = longest.longest_line * 2;
    (output.when_slow == WhenSlow::Drop && output.queue < needs).then(|| {
        format!(
            "output.queue is small for output.when_slow = \"drop\": messages of {} may be dropped though the reader keeps up; \
             two of them need {}",
            longest.name,
            ByteSize::b(needs).display().iec()
        )
    })
}

/// All credentials of one file, whether or not a feed uses them: what the simulator knows its clients by.
///
/// # Errors
/// As [`load`].
pub fn credentials(file: &Path, around: &Surroundings) -> Result<Vec<Arc<Credentials>>, ConfigError> {
    let flags = Flags { config: Some(file.to_owned()), ..Flags::default() };
    let read = drafted(&flags, around, |draft, review| {
        let sections = draft.credentials.iter();
        sections
            .filter_map(|(name, typed)| credentials::review(name, typed, "the simulator", review))
            .collect::<Vec<_>>()
    })?;
    Ok(read.into_iter().map(|origin| origin.credentials).collect())
}

/// Which certificates are trusted beside the system's and how the venue is reached, for a command that wants no more of a
/// configuration; where there is none, or the one that is found is not for this user to read, as the environment says.
///
/// # Errors
/// As [`load`], of what is typed there.
pub fn reach(file: Option<PathBuf>, around: &Surroundings) -> Result<(Option<PathBuf>, Net), ConfigError> {
    let flags = Flags { config: file, ..Flags::default() };
    let read = drafted(&flags, around, |draft, review| {
        let ca_file = draft.tls.ca_file.as_ref().and_then(|typed| ca_file(typed, review));
        (ca_file, net::review(&draft.net, review))
    });
    match read {
        Err(ConfigError::Nothing { .. } | ConfigError::Unreadable { named_by: None, .. }) => {
            let net = Net::of_environment(around).map_err(|problem| ConfigError::Wrong(vec![problem]))?;
            Ok((None, net))
        }
        read => read,
    }
}

/// The names of all credentials that the configuration has a section or a feed for.
pub(super) fn names(flags: &Flags, around: &Surroundings) -> Result<Vec<String>, ConfigError> {
    drafted(flags, around, |draft, _| draft.credentials.keys().cloned().collect())
}

/// The configuration's credentials of this name, whether or not a feed uses them, and what is worth saying of them; None where
/// it has none.
pub(super) fn named(
    name: &str,
    flags: &Flags,
    around: &Surroundings,
) -> Result<Option<(Origin, Vec<String>)>, ConfigError> {
    drafted(flags, around, |draft, review| {
        let typed = draft.credentials.get(name)?;
        let known = review.warnings.len();
        let origin = credentials::review(name, typed, "this command", review)?;
        Some((origin, review.warnings.split_off(known)))
    })
}

/// What `look` finds in the configuration as it was typed, unless it finds something wrong.
fn drafted<T>(
    flags: &Flags,
    around: &Surroundings,
    look: impl FnOnce(&Draft, &mut Review) -> T,
) -> Result<T, ConfigError> {
    let mut warnings = Vec::new();
    let found = find(flags, around, &mut warnings)?;
    let settings = around.settings(&mut warnings);
    let layers = Layers {
        file: found.as_ref().map(|(path, text)| (path.as_path(), text.as_str())),
        settings: &settings,
        feed: None,
    };
    let mut draft = layers.read().map_err(ConfigError::Wrong)?;
    add_stored(&mut draft, &Store::new(around));
    let mut review = Review { layers: &layers, around, problems: Vec::new(), warnings };
    let found = look(&draft, &mut review);
    if review.problems.is_empty() { Ok(found) } else { Err(ConfigError::Wrong(review.problems)) }
}

/// Credentials that a feed names and that have no section of their own are where `tickerd credential` stores them.
fn add_stored(draft: &mut Draft, store: &Store) {
    for named in draft.feed.iter().filter_map(|feed| feed.get_ref().credentials.as_ref()) {
        if !draft.credentials.contains_key(named.get_ref())
            && let Some(path) = store.find(named.get_ref())
        {
            let at = named.span();
            let file = Spanned::new(at.clone(), path.to_string_lossy().into_owned());
            let section = draft::Credentials { key_file: Some(file), ..draft::Credentials::default() };
            draft.credentials.insert(named.get_ref().clone(), Spanned::new(at, section));
        }
    }
}

/// The file that wins, and what is in it.
fn find(
    flags: &Flags,
    around: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let variable = || around.var("TICKERD_CONFIG").map(|file| (PathBuf::from(file), "$TICKERD_CONFIG"));
    let named = flags.config.clone().map(|file| (file, "--config")).or_else(variable);
    let searched = vec![PathBuf::from("config.toml"), around.etc.join("tickerd/config.toml")];
    if !flags.channels.is_empty() {
        if flags.config.is_some() {
            let what = "it records without a configuration; leave it out, or --config";
            return Err(ConfigError::Wrong(vec![Problem::new(Place::Option("--channel".to_owned()), "", what)]));
        }
        let exists = |file: &PathBuf| around.directory.join(file).exists();
        if let Some(file) = named.map(|(file, _)| file).or_else(|| searched.into_iter().find(exists)) {
            warnings.push(format!("{} is not read: --channel says what to record", file.display()));
        }
        return Ok(None);
    }
    if let Some((file, named_by)) = named {
        return match read(&around.directory.join(&file), LONGEST_FILE) {
            Ok(text) => Ok(Some((file, text))),
            Err(cause) => Err(ConfigError::Unreadable { file, named_by: Some(named_by), cause }),
        };
    }
    for file in &searched {
        match read(&around.directory.join(file), LONGEST_FILE) {
            Ok(text) => return Ok(Some((file.clone(), text))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(ConfigError::Unreadable { file: file.clone(), named_by: None, cause }),
        }
    }
    Err(ConfigError::Nothing { searched })
}

/// Which credentials are wanted, and by which feeds.
fn wanted(draft: &Draft, review: &mut Review) -> BTreeMap<String, BTreeSet<String>> {
    let mut wanted = BTreeMap::<_, BTreeSet<_>>::new();
    for feed in draft.feed.iter().map(Spanned::get_ref) {
        if let Some(name) = &feed.credentials {
            let by = feed.name.as_ref().map_or("", |name| name.get_ref());
            wanted.entry(name.get_ref().clone()).or_default().insert(by.to_owned());
        }
    }
    for name in draft.credentials.keys().filter(|name| !wanted.contains_key(*name)) {
        review.warnings.push(format!("no feed uses [credentials.{name}]: it is not read"));
    }
    wanted
}

/// Leaves no feed but this one.
fn only(name: &str, draft: &mut Draft, review: &mut Review) {
    let is = |feed: &Spanned<draft::Feed>, wanted: &str| {
        feed.get_ref().name.as_ref().is_some_and(|name| name.get_ref() == wanted)
    };
    if draft.feed.iter().any(|feed| is(feed, name)) {
        draft.feed.retain(|feed| is(feed, name));
    } else {
        let names: Vec<_> = draft
            .feed
            .iter()
            .filter_map(|feed| feed.get_ref().name.as_ref())
            .map(|name| name.get_ref().as_str())
            .collect();
        let what = format!("no feed is called \"{name}\"; {}", hint(name, &names, '"'));
        let place = Place::Option("--feed".to_owned());
        review.problems.push(Problem::new(place, "feed.name", what));
    }
}

/// Whether the feed signs with HMAC where CDP tokens have taken its place.
fn has_expired(feed: &Feed) -> bool {
    let is_hmac = |credentials: &Arc<Credentials>| matches!(credentials.signer(), Signer::Hmac(_));
    feed.venue.tokens && feed.credentials.as_ref().is_some_and(is_hmac)
}

fn service(draft: &draft::Service, review: &mut Review) -> Service {
    /// A service manager gives 90 s to stop by default, and the rest of the way out must fit too.
    const DRAIN: Duration = Duration::from_secs(10);
    let drain = draft.drain.as_ref().and_then(|typed| review.duration(typed, "service.drain")).unwrap_or(DRAIN);
    Service { ready: draft.ready.unwrap_or(Ready::Started), drain }
}

fn ca_file(typed: &Spanned<String>, review: &mut Review) -> Option<PathBuf> {
    let path = review.beside_the_file(typed.get_ref());
    let wrong = match read(&path, LONGEST_FILE) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(path),
        Ok(_) => format!("{} holds no certificate in PEM", path.display()),
        Err(cause) => format!("{} can not be read: {cause}", path.display()),
    };
    review.wrong(&typed.span(), "tls.ca_file", wrong);
    None
}

impl ConfigError {
    /// Whether all that is wrong was typed as options.
    #[must_use]
    pub fn is_of_options(&self) -> bool {
        let is_option = |problem: &Problem| matches!(problem.place, Place::Option(_));
        matches!(self, Self::Wrong(problems) if problems.iter().all(is_option))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { searched } => {
                let searched: Vec<_> = searched.iter().map(|file| file.display().to_string()).collect();
                write!(
                    f,
                    "nothing to do: no configuration (looked for $TICKERD_CONFIG, {}) and no --channel. Try one of\n  \
                     tickerd demo\n  \
                     tickerd run --channel ticker_batch --product BTC-USD,ETH-USD\n  \
                     tickerd init > config.toml",
                    searched.join(", ")
                )
            }
            Self::Unreadable { file, named_by, cause } => {
                let by = named_by.map(|by| format!(" named by {by}")).unwrap_or_default();
                write!(f, "{}: the configuration{by} can not be read: {cause}", file.display())
            }
            Self::Wrong(problems) => {
                for (i, problem) in problems.iter().enumerate() {
                    write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { cause, .. } => Some(cause),
            Self::Nothing { .. } | Self::Wrong(_) => None,
        }
    }
}
