//! What a configuration is read from, beside itself.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use super::{layers::Setting, place::Place};

/// Environment, working directory and `/etc`: an argument, so that tests need not change the process.
#[derive(Clone)]
pub struct Surroundings {
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub directory: PathBuf,
    /// `/etc`.
    pub etc: PathBuf,
}

impl Surroundings {
    /// The process's own.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub fn of_process() -> io::Result<Self> {
        // What is not UTF-8 is no variable of ours.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self {
            env: std::env::vars_os().filter_map(text).collect(),
            directory: std::env::current_dir()?,
            etc: PathBuf::from("/etc"),
        })
    }

    /// A variable, unless it is empty.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// `TICKERD_OUTPUT__PATH`, `TICKERD_FEED__tickers__URL`, and so on.
    pub(super) fn settings(&self, warnings: &mut Vec<String>) -> Vec<Setting> {
        let mut settings = Vec::new();
        for (name, value) in &self.env {
            let Some(rest) = name.strip_prefix("TICKERD_") else { continue };
            if rest == "CONFIG" {
                continue;
            }
            let steps: Vec<_> = rest.split("__").collect();
            let lower = |steps: &[&str]| steps.iter().map(|step| step.to_lowercase()).collect::<Vec<_>>();
            let section = steps[0].to_lowercase();
            let keys = match (section.as_str(), &steps[1..]) {
                // A feed has no key of several steps, so that its name may hold two underscores.
                ("feed", [name @ .., key]) if !name.is_empty() => vec![section, name.join("__"), key.to_lowercase()],
                ("credentials", [name, keys @ ..]) if !keys.is_empty() => {
                    [vec![section, (*name).to_owned()], lower(keys)].concat()
                }
                ("output" | "service" | "log" | "tls" | "net" | "http", [_, ..]) => lower(&steps),
                _ => {
                    warnings.push(format!(
                        "{name} is set and is not obeyed: a key is overridden as TICKERD_OUTPUT__PATH, one of a feed as \
                         TICKERD_FEED__NAME__URL"
                    ));
                    continue;
                }
            };
            settings.push(Setting { place: Place::Variable(name.clone()), keys, value: value.clone() });
        }
        settings.sort_by(|a, b| a.keys.cmp(&b.keys));
        settings
    }
}

/// What to say of a file with a secret in it that others can read too.
pub(super) fn open_to_all(path: &Path) -> Option<String> {
    let open = std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
    let path = path.display();
    open.then(|| format!("{path} holds a secret and everyone can read it: chmod 600 {path}"))
}

/// Reads a text of at most `longest` bytes.
///
/// # Errors
/// When the file can not be read, is no text, or is longer.
pub fn read(path: &Path, longest: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(longest + 1).read_to_string(&mut text)?;
    if text.len() as u64 > longest {
        let what = format!("longer than {}", ByteSize::b(longest));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}
