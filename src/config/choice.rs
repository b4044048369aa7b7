//! Which credentials a command means that signs once, as `sign` and `doctor` do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Config, ConfigError, Feed, Flags, Origin, Store, Surroundings,
    credentials::LONGEST_SECRET,
    feed::unknown_credentials,
    load::{load, named, names},
    nearest,
    surroundings::{open_to_all, read},
};
use crate::auth::{Credentials, KeyFile, Secret, key::KeyError};

/// The variables that are read where nothing else says who signs: Coinbase's own SDK reads these.
const VARIABLES: [&str; 2] = ["COINBASE_API_KEY", "COINBASE_API_SECRET"];

/// What goes with them where the key is the Exchange's.
const PASSPHRASE: &str = "COINBASE_API_PASSPHRASE";

/// What the command line says of it; at most one of the last three.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--config`: the file, and no search.
    pub config: Option<PathBuf>,
    /// `--credentials`: these, of the configuration or stored.
    pub credentials: Option<String>,
    /// `--feed`: those that this feed signs with.
    pub feed: Option<String>,
    /// `--key-file`: those in this file.
    pub key_file: Option<String>,
}

/// Who signs.
#[derive(Debug)]
pub struct Chosen {
    /// They, and where they are from.
    pub origin: Origin,
    /// What is worth saying of where they are from.
    pub warnings: Vec<String>,
    /// The configuration, where there is one and it is right.
    pub config: Option<Config>,
}

/// Why nobody can sign.
#[derive(Debug)]
pub enum ChoiceError {
    /// The configuration is wrong.
    Config(ConfigError),
    /// No credentials are called so; what to say of it.
    Unknown(String),
    /// The feed of this name signs nothing.
    Unsigned(String),
    /// There are several, of these names.
    Several(Vec<String>),
    /// A file can not be read.
    Unreadable(PathBuf, io::Error),
    /// What is read from there can not sign.
    Key(String, KeyError),
    /// One of the two variables is set: this one is missing.
    Half(&'static str),
    /// There are none; where stored ones were looked for.
    Nothing(String),
}

impl Chosen {
    /// The feed of the configuration that signs with them, the first if several do.
    #[must_use]
    pub fn feed(&self) -> Option<&Feed> {
        let same = |credentials: &Arc<Credentials>| credentials.key() == self.origin.credentials.key();
        self.config.as_ref()?.feeds.iter().find(|feed| feed.credentials.as_ref().is_some_and(same))
    }
}

/// The credentials that are chosen, else the only ones that there are: of the configuration, stored, or in the variables
/// that Coinbase's own SDK reads.
///
/// # Errors
/// When there are none, or several and none is chosen, or they can not sign.
pub fn choose(choice: &Choice, around: &Surroundings) -> Result<Chosen, ChoiceError> {
    let flags = Flags { config: choice.config.clone(), feed: choice.feed.clone(), ..Flags::default() };
    let (origin, warnings) = match choice {
        Choice { key_file: Some(file), .. } => key_file("key-file", &around.directory.join(file))?,
        Choice { feed: Some(feed), .. } => of_feed(feed, &flags, around)?,
        Choice { credentials: Some(name), .. } => called(name, &flags, around)?,
        _ => only(&flags, around)?,
    };
    // A configuration that is wrong elsewhere keeps nobody from signing.
    Ok(Chosen { origin, warnings, config: load(&flags, around).ok() })
}

/// Credentials, and what is worth saying of where they are from.
type Found = (Origin, Vec<String>);

fn of_feed(feed: &str, flags: &Flags, around: &Surroundings) -> Result<Found, ChoiceError> {
    let config = load(flags, around).map_err(ChoiceError::Config)?;
    // All other feeds were left out, and what only they use.
    let origin = config.credentials.into_iter().next().ok_or_else(|| ChoiceError::Unsigned(feed.to_owned()))?;
    Ok((origin, Vec::new()))
}

fn called(name: &str, flags: &Flags, around: &Surroundings) -> Result<Found, ChoiceError> {
    if let Some(found) = where_there_is_a_file(named(name, flags, around))?.flatten() {
        return Ok(found);
    }
    let store = Store::new(around);
    match store.find(name) {
        Some(path) => key_file(name, &path),
        None => {
            let known = where_there_is_a_file(names(flags, around))?.unwrap_or_default();
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            Err(ChoiceError::Unknown(unknown_credentials(name, &known, &store)))
        }
    }
}

fn only(flags: &Flags, around: &Surroundings) -> Result<Found, ChoiceError> {
    let store = Store::new(around);
    let mut known = where_there_is_a_file(names(flags, around))?.unwrap_or_default();
    if known.is_empty() {
        known = store.names();
    }
    match known.as_slice() {
        [name] => called(name, flags, around),
        [] => environment(around, &store).map(|origin| (origin, Vec::new())),
        _ => Err(ChoiceError::Several(known)),
    }
}

fn environment(around: &Surroundings, store: &Store) -> Result<Origin, ChoiceError> {
    let [key_name, secret_name] = VARIABLES;
    match (around.var(key_name), around.var(secret_name)) {
        (Some(key), Some(secret)) => {
            let halves = KeyFile::of_halves(key, Secret::new(secret.to_owned()));
            let halves = KeyFile { key: key.to_owned(), ..halves };
            let passphrase = around.var(PASSPHRASE).filter(|passphrase| !passphrase.trim().is_empty());
            let passphrase_from = passphrase.map(|_| format!("${PASSPHRASE}"));
            let parts = match passphrase {
                Some(passphrase) => halves.with_passphrase(&Secret::new(passphrase.to_owned())),
                None => halves,
            };
            let credentials = parts.credentials("environment");
            let credentials = credentials.map_err(|error| ChoiceError::Key(format!("${secret_name}"), error))?;
            Ok(Origin {
                credentials: Arc::new(credentials),
                key_from: format!("${key_name}"),
                secret_from: format!("${secret_name}"),
                passphrase_from,
            })
        }
        (None, Some(_)) => Err(ChoiceError::Half(key_name)),
        (Some(_), None) => Err(ChoiceError::Half(secret_name)),
        (None, None) => Err(ChoiceError::Nothing(store.searched("NAME"))),
    }
}

fn key_file(name: &str, path: &Path) -> Result<Found, ChoiceError> {
    let text = read(path, LONGEST_SECRET).map_err(|error| ChoiceError::Unreadable(path.to_owned(), error))?;
    let from = path.display().to_string();
    let credentials = KeyFile::read(&Secret::new(text)).and_then(|file| file.credentials(name));
    let credentials = credentials.map_err(|error| ChoiceError::Key(from.clone(), error))?;
    Ok((Origin::of_file(credentials, &from), open_to_all(path).into_iter().collect()))
}

/// That no file was found is no error here, unless one was named.
fn where_there_is_a_file<T>(read: Result<T, ConfigError>) -> Result<Option<T>, ChoiceError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(ConfigError::Nothing { .. }) => Ok(None),
        Err(error) => Err(ChoiceError::Config(error)),
    }
}

impl fmt::Display for ChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Unknown(what) => f.write_str(what),
            Self::Unsigned(feed) => write!(
                f,
                "feed \"{feed}\" has no credentials, so that it signs nothing: write credentials = \"main\" into it, or \
                 choose with --credentials NAME"
            ),
            Self::Several(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                write!(f, "there are several credentials: choose with --credentials, of {}", nearest::list(&names, '"'))
            }
            Self::Unreadable(path, error) => write!(f, "{} can not be read: {error}", path.display()),
            Self::Key(from, error) => write!(f, "from {from}: {error}"),
            Self::Half(missing) => write!(f, "${missing} is not set or empty, and the other half is: set it too"),
            Self::Nothing(searched) => {
                let [key, secret] = VARIABLES;
                write!(
                    f,
                    "there are no credentials: none in a configuration, no {searched}, no ${key} and ${secret}. Try one of\n  \
                     tickerd credential add main\n  \
                     --key-file cdp_api_key.json"
                )
            }
        }
    }
}

impl std::error::Error for ChoiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Unreadable(_, error) => Some(error),
            Self::Key(_, error) => Some(error),
            _ => None,
        }
    }
}
