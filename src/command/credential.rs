//! `tickerd credential`: stores credentials where `run` finds them. A secret comes in and is never told.

use std::{
    fmt,
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::de::IgnoredAny;
use tokio::time::timeout;

use super::{block_on, keep_out_of_core_files, said};
use crate::{
    auth::{Credentials, KeyFile, Secret, Signer, key::KeyError},
    cli,
    clock::Clock,
    config::{HMAC_EXPIRED, Store, Surroundings, read, store},
    desk::Desk,
    exit::{Failure, Status},
    net::{Network, client_config},
    random::Random,
    rest::Client,
    terminal::{self, AskError, Hidden},
    venue,
    verdict::RestSaid,
};

/// The longest that is read: CDP's key files have less than 1 kB.
const LONGEST: u64 = 64 << 10;

/// Stores, lists or removes.
///
/// # Errors
/// When the credentials can not sign, a name is taken or not there, or a file can not be written.
pub fn run(options: &cli::Credential, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    keep_out_of_core_files();
    match options {
        cli::Credential::Add(options) => add(options, around, out),
        cli::Credential::List => list(&Store::new(around), out),
        cli::Credential::Remove { name } => remove(name, &Store::new(around), out),
    }
}

/// The name is not shown where it is none: it may be the secret, which was typed in its place.
fn named(name: &str) -> Result<(), Failure> {
    let what = "this is no name: letters, digits, - and _ make one, 31 at most, as in `tickerd credential add main`";
    if Store::is_name(name) { Ok(()) } else { Err(Failure::new(Status::Usage, what)) }
}

fn add(options: &cli::Add, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    let name = &options.name;
    named(name)?;
    let stored = Store::new(around);
    let path = stored.place(name, options.user).map_err(|error| Failure::new(Status::Config, error))?;
    if path.exists() && !options.replace {
        let what = format!(
            "\"{name}\" is stored already, in {}: choose another name, or say --replace to lose that one",
            path.display()
        );
        return Err(Failure::new(Status::Usage, what));
    }
    let file = match &options.key_file {
        Some(file) => {
            let file = around.directory.join(file);
            let text = read(&file, LONGEST).map_err(|error| {
                Failure::new(Status::Config, format!("{} can not be read: {error}", file.display()))
            })?;
            KeyFile::read(&Secret::new(text)).map_err(|error| not_stored(&error))?
        }
        None if terminal::is_there() => asked()?,
        None => piped()?,
    };
    let credentials = file.credentials(name).map_err(|error| not_stored(&error))?;
    store(&path, &file.write(credentials.signer()), options.replace).map_err(|error| {
        Failure::new(Status::Output, format!("{} can not be written, nothing is stored: {error}", path.display()))
    })?;
    let credentials = Arc::new(credentials);
    let answer = if options.offline { None } else { Some(ask(&credentials, options.rest.as_deref())?) };
    said(print_stored(&credentials, answer.as_ref(), &path, &stored, out))
}

/// Whether the venue takes them, unless that can not be found out in a time for which a person waits.
fn ask(credentials: &Arc<Credentials>, base: Option<&str>) -> Result<RestSaid, Failure> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let rest = venue::ALL[0].rest;
    let base = base.unwrap_or(rest.url).trim_end_matches('/');
    let unreachable = |why: &dyn fmt::Display| RestSaid::Unreachable(why.to_string());
    // A machine without roots asks nobody, and keeps credentials all the same.
    let tls = match client_config(None) {
        Ok(tls) => tls,
        Err(error) => return Ok(unreachable(&error)),
    };
    let desk = Desk::new(credentials.clone());
    let asking = async {
        let client = Client::new(Arc::new(Network::new(tls)), Clock::system(), Random::system());
        timeout(PATIENCE, client.permissions(rest, base, &desk)).await
    };
    let late = format!("{base} gave no answer within {} s", PATIENCE.as_secs());
    Ok(block_on(asking)?.map_or_else(|_| unreachable(&late), RestSaid::from))
}

fn print_stored(
    credentials: &Credentials,
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
    if let Signer::Hmac(_) = credentials.signer() {
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
    writeln!(out, "next        tickerd run --channel user --credentials {name}")?;
    writeln!(out, "            or, in a feed of the configuration: credentials = \"{name}\"")?;
    if stored.is_of_the_system(path) {
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

/// From a person at the terminal.
fn asked() -> Result<KeyFile, Failure> {
    let failed = |error: AskError| Failure::new(Status::Usage, format!("{error}; nothing is stored"));
    let mut hidden = Hidden::begin().map_err(failed)?;
    let key = hidden.ask("key name or id, or the whole cdp_api_key.json (not shown)", is_whole).map_err(failed)?;
    if is_json(key.expose()) {
        return KeyFile::read(&key).map_err(|error| not_stored(&error));
    }
    let secret = hidden.ask("secret, all lines of it (not shown)", is_whole).map_err(failed)?;
    Ok(KeyFile::of_halves(key.expose(), secret))
}

/// From a file or another program on stdin: the portal's JSON, or a line with the key and the secret below it.
fn piped() -> Result<KeyFile, Failure> {
    let mut text = String::with_capacity(usize::try_from(LONGEST).unwrap_or_default() + 1);
    let read = io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map_err(|error| Failure::new(Status::Config, format!("stdin can not be read: {error}; nothing is stored")))?;
    if text.expose().len() as u64 > LONGEST {
        return Err(Failure::new(Status::Config, "stdin is longer than any key; nothing is stored"));
    }
    split(&text).map_err(|error| not_stored(&error))
}

fn split(text: &Secret) -> Result<KeyFile, KeyError> {
    if is_json(text.expose()) {
        return KeyFile::read(text);
    }
    let whole = text.expose().trim();
    let (key, secret) = whole.split_once('\n').unwrap_or((whole, ""));
    Ok(KeyFile::of_halves(key, Secret::new(secret.to_owned())))
}

/// Editors on Windows begin files with a byte order mark.
fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

/// Whether the lines up to here are all of the answer: a JSON to its last brace, a PEM to the end of the key (openssl writes
/// the curve's parameters before it), anything else is one line.
fn is_whole(text: &str) -> bool {
    if is_json(text) {
        return !serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof());
    }
    !text.contains("-----BEGIN") || text.lines().any(|line| line.contains("-----END") && !line.contains("PARAMETERS"))
}

fn not_stored(error: &KeyError) -> Failure {
    Failure::new(Status::Config, format!("{error}. Nothing is stored"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_at_its_own_end() {
        for (whole, parts) in [
            ("organizations/a/apiKeys/b", &[][..]),
            ("{\n\"name\": \"{}\",\n\"privateKey\": \"-----BEGIN\"\n}", &["{", "{\n\"name\": \"{}\","][..]),
            ("{}", &[]),
            ("-----BEGIN A KEY-----\nAA\n-----END A KEY-----", &["-----BEGIN A KEY-----", "-----BEGIN A KEY-----\nAA"]),
            ("-----BEGIN A KEY-----\\nAA\\n-----END A KEY-----\\n", &[]),
            (
                "-----BEGIN EC PARAMETERS-----\nAA\n-----END EC PARAMETERS-----\n-----BEGIN A KEY-----\nAA\n-----END A KEY-----",
                &["-----BEGIN EC PARAMETERS-----\nAA\n-----END EC PARAMETERS-----"],
            ),
        ] {
            assert!(is_whole(whole), "{whole}");
            for part in parts {
                assert!(!is_whole(part), "{part}");
            }
        }
    }

    #[test]
    fn stdin_holds_a_file_or_a_line_and_what_is_below_it() {
        let split = |text: &str| split(&Secret::new(text.to_owned())).map(|file| (file.key, file.secret));
        let (key, secret) = split("\n k \r\nsecret\nof lines\n").expect("both");
        assert_eq!((key.as_str(), secret.expose()), ("k", "secret\nof lines"));
        let (key, secret) = split(" {\"id\":\"u\",\"privateKey\":\"AB\"}\n").expect("both");
        assert_eq!((key.as_str(), secret.expose()), ("u", "AB"));
        assert_eq!(split("k").expect("to be refused by its reader").1.expose(), "");
    }
}
