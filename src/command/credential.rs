//! `tickerd credential`: stores credentials where `run` finds them. A secret comes in and is never told.

mod given;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use super::{block_on, keep_out_of_core_files, said, venue_named, venue_of};
use crate::{
    auth::{Credentials, Secret, Signer},
    cli,
    clock::Clock,
    config::{self, ConfigError, HMAC_EXPIRED, Net, Store, Surroundings, read, store},
    desk::Desk,
    exit::{Failure, Status},
    net::{Network, client_config},
    random::Random,
    rest::Client,
    venue::{self, Products, Unfit, Venue},
    verdict::RestSaid,
};

/// The longest that is read: CDP's key files have less than 1 kB.
const LONGEST: u64 = 64 << 10;

/// Stores, lists or removes.
///
/// # Errors
/// When the credentials can not sign, a name is taken or not there, or a file can not be written.
pub fn run(
    options: &cli::Credential,
    config: Option<PathBuf>,
    around: &Surroundings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    keep_out_of_core_files();
    match options {
        cli::Credential::Add(options) => add(options, config, around, out),
        cli::Credential::List => list(&Store::new(around), out),
        cli::Credential::Remove { name } => remove(name, &Store::new(around), out),
    }
}

/// The name is not shown where it is none: it may be the secret, which was typed in its place.
fn named(name: &str) -> Result<(), Failure> {
    let what = "this is no name: letters, digits, - and _ make one, 31 at most, as in `tickerd credential add main`";
    if Store::is_name(name) { Ok(()) } else { Err(Failure::new(Status::Usage, what)) }
}

fn add(
    options: &cli::Add,
    config: Option<PathBuf>,
    around: &Surroundings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let name = &options.name;
    named(name)?;
    let venue = options.venue.as_deref().map(venue_named).transpose()?;
    let stored = Store::new(around);
    let path = stored.place(name, options.user).map_err(|error| Failure::new(Status::Config, error))?;
    if path.exists() && !options.replace {
        let what = format!(
            "\"{name}\" is stored already, in {}: choose another name, or say --replace to lose that one",
            path.display()
        );
        return Err(Failure::new(Status::Usage, what));
    }
    let file = given::given(options.key_file.as_deref(), venue, around)?;
    let credentials = file.credentials(name).map_err(|error| not_stored(&error))?;
    let venue = venue.unwrap_or_else(|| venue_of(&credentials));
    venue.fits(&credentials).map_err(|unfit| not_stored(&unfit_here(unfit)))?;
    store(&path, &file.write(credentials.signer()), options.replace).map_err(|error| {
        Failure::new(Status::Output, format!("{} can not be written, nothing is stored: {error}", path.display()))
    })?;
    let credentials = Arc::new(credentials);
    let reach = if options.offline { None } else { Some(config::reach(config, around)) };
    let answer = reach.map(|reach| ask(&credentials, venue, options.rest.as_deref(), reach)).transpose()?;
    said(print_stored(&credentials, venue, answer.as_ref(), &path, &stored, out))
}

/// What does not fit, with the remedy that there is here.
fn unfit_here(unfit: Unfit) -> String {
    match unfit {
        Unfit::NoPassphrase(venue) => format!(
            "there is no passphrase, and {venue} wants the one that was chosen when the key was made: as a third line, or as \
             \"passphrase\" beside \"key\" and \"secret\" in a JSON"
        ),
        other => other.to_string(),
    }
}

/// Whether the venue takes them, unless that can not be found out in a time for which a person waits.
fn ask(
    credentials: &Arc<Credentials>,
    venue: &Venue,
    base: Option<&str>,
    reach: Result<(Option<PathBuf>, Net), ConfigError>,
) -> Result<RestSaid, Failure> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let rest = venue.rest;
    let base = base.unwrap_or(rest.url).trim_end_matches('/');
    let unreachable = |why: &dyn fmt::Display| RestSaid::Unreachable(why.to_string());
    // A machine without roots, or without a way, asks nobody, and keeps credentials all the same.
    let (ca_file, net) = match reach {
        Ok(reach) => reach,
        Err(error) => return Ok(unreachable(&error)),
    };
    let tls = match client_config(ca_file.as_ref()) {
        Ok(tls) => tls,
        Err(error) => return Ok(unreachable(&error)),
    };
    let desk = Desk::new(credentials.clone());
    let asking = async {
        let client = Client::new(Arc::new(Network::new(tls).reached(net)), Clock::system(), Random::system());
        timeout(PATIENCE, client.permissions(rest, base, &desk)).await
    };
    let late = format!("{base} gave no answer within {} s", PATIENCE.as_secs());
    Ok(block_on(asking)?.map_or_else(|_| unreachable(&late), RestSaid::from))
}

fn print_stored(
    credentials: &Credentials,
    venue: &Venue,
    answer: Option<&RestSaid>,
    path: &Path,
    stored: &Store,
    out: &mut impl Write,
) -> io::Result<()> {
    let name = credentials.name();
    writeln!(out, "stored      {}", path.display())?;
    writeln!(out, "key         {}", credentials.key())?;
    writeln!(out, "algorithm   {}", credentials.algorithm())?;
    if !credentials.mended().is_empty() {
        let mended: Vec<_> = credentials.mended().iter().map(ToString::to_string).collect();
        writeln!(out, "mended      {}", mended.join(", "))?;
    }
    if credentials.passphrase().is_some() {
        writeln!(out, "passphrase  stored with them")?;
    }
    if venue.tokens && matches!(credentials.signer(), Signer::Hmac(_)) {
        writeln!(out, "warning     {HMAC_EXPIRED}")?;
    }
    match answer {
        None => {}
        Some(RestSaid::Took(may)) if !may.can_view => {
            writeln!(out, "warning     the venue takes them, and they may not view")?;
        }
        Some(RestSaid::Took(may)) if may.can_trade || may.can_transfer => writeln!(
            out,
            "warning     the venue takes them, and they may do more than view: to record, a key with View alone is safer"
        )?,
        Some(RestSaid::Took(_)) => writeln!(out, "checked     the venue takes them; they may view")?,
        Some(RestSaid::Unreachable(why)) => writeln!(out, "not checked {why}")?,
        Some(refused) => writeln!(
            out,
            "warning     the venue refuses them, {refused}; a new key may take minutes; `tickerd doctor --credentials {name}` says why"
        )?,
    }
    if let Some(first) = stored.find(name).filter(|first| first != path) {
        writeln!(out, "warning     {} has the same name and is found before it", first.display())?;
    }
    let is_first = std::ptr::eq(venue, venue::ALL[0]);
    let (option, key) = match venue.name {
        _ if is_first => (String::new(), String::new()),
        other => (format!("--venue {other} "), format!("venue = \"{other}\" and ")),
    };
    let needs_product = venue.channel("user").is_some_and(|channel| channel.products == Products::Required);
    let product = if needs_product { "--product BTC-USD " } else { "" };
    writeln!(out, "next        tickerd run {option}--channel user {product}--credentials {name}")?;
    let (of_the_system, file) = (stored.is_of_the_system(path), "/etc/tickerd/config.toml");
    let file = if of_the_system && Path::new(file).exists() { file } else { "the configuration" };
    writeln!(out, "            or, in a feed of {file}: {key}credentials = \"{name}\"")?;
    if of_the_system {
        if name != "main" {
            writeln!(
                out,
                "            and, for the service, by systemctl edit tickerd: LoadCredential=tickerd-{name}"
            )?;
        }
        writeln!(out, "            and, where the service runs, for it to read them: systemctl restart tickerd")?;
    }
    out.flush()
}

/// The key's id is shown: it is public, it is in every message, and by it people tell in the portal which one this is.
fn list(stored: &Store, out: &mut impl Write) -> Result<(), Failure> {
    let mut seen = Vec::new();
    let mut print = || {
        for stored in stored.list() {
            let (algorithm, key) = match credentials(&stored.name, &stored.path) {
                Ok(credentials) => (credentials.algorithm(), credentials.key().to_owned()),
                Err(what) => ("unusable", what),
            };
            let name = &stored.name;
            writeln!(out, "{name:<16} {algorithm:<12} {}", stored.path.display())?;
            writeln!(out, "{:<16} {key}", "")?;
            if seen.contains(name) {
                writeln!(out, "{:<16} not used: the one above has the same name", "")?;
            }
            seen.push(stored.name);
        }
        out.flush()
    };
    let printed = print();
    if seen.is_empty() && printed.is_ok() {
        let none = format!("none are stored: no {}. Store some: tickerd credential add main", stored.searched("NAME"));
        let _ = writeln!(io::stderr(), "tickerd: {none}");
    }
    said(printed)
}

fn not_stored(why: &impl fmt::Display) -> Failure {
    Failure::new(Status::Config, format!("{why}. Nothing is stored"))
}

fn credentials(name: &str, path: &Path) -> Result<Credentials, String> {
    let text = Secret::new(read(path, LONGEST).map_err(|error| error.to_string())?);
    Credentials::from_key_file(name, &text).map_err(|error| error.to_string())
}

fn remove(name: &str, stored: &Store, out: &mut impl Write) -> Result<(), Failure> {
    named(name)?;
    let mut paths = stored.list().into_iter().filter(|known| known.name == *name && !stored.is_given(&known.path));
    let Some(found) = paths.next() else {
        let there_is = match stored.names().join(", ") {
            none if none.is_empty() => "none are stored".to_owned(),
            names => format!("there is {names}"),
        };
        let what = format!("no {}: {there_is}", stored.searched(name));
        return Err(Failure::new(Status::Usage, what));
    };
    let path = found.path.display();
    std::fs::remove_file(&found.path)
        .map_err(|error| Failure::new(Status::Output, format!("{path} can not be removed: {error}")))?;
    let print = || {
        writeln!(out, "removed     {path}")?;
        for other in paths {
            writeln!(out, "still there {}", other.path.display())?;
        }
        out.flush()
    };
    said(print())
}
