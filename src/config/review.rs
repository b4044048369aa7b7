//! A draft is looked at; what is found out gathers here.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use toml::Spanned;

use super::{Surroundings, layers::Layers, place::Problem};
use crate::verdict::Mistake;

/// What is known while a draft is looked at, and what was found out.
pub(super) struct Review<'a> {
    /// Where things were typed.
    pub layers: &'a Layers<'a>,
    /// Where things are.
    pub around: &'a Surroundings,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is worth saying.
    pub warnings: Vec<String>,
}

impl Review<'_> {
    /// Something is wrong.
    pub fn wrong(&mut self, span: &Range<usize>, key: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(self.layers.place(span), key, what));
    }

    /// Something would be refused by the venue, in this way.
    pub fn mistaken(&mut self, span: &Range<usize>, key: &str, what: impl Into<String>, mistake: Mistake) {
        let problem = Problem::new(self.layers.place(span), key, what);
        self.problems.push(Problem { mistake: Some(mistake), ..problem });
    }

    /// "10s", "1h 30min", "30d".
    pub fn duration(&mut self, typed: &Spanned<String>, key: &str) -> Option<Duration> {
        let duration = humantime::parse_duration(typed.get_ref()).ok();
        if duration.is_none() {
            let what = format!("\"{}\" is no duration; write it as \"10s\", \"1h\" or \"30d\"", typed.get_ref());
            self.wrong(&typed.span(), key, what);
        }
        duration
    }

    /// "32MiB", "1GiB", "500 GB": bytes.
    pub fn size(&mut self, typed: &Spanned<String>, key: &str) -> Option<u64> {
        let size = typed.get_ref().parse::<ByteSize>().ok();
        if size.is_none() {
            let what = format!("\"{}\" is no size; write it as \"32MiB\" or \"1GiB\"", typed.get_ref());
            self.wrong(&typed.span(), key, what);
        }
        size.map(|size| size.as_u64())
    }

    /// Where keys and certificates are that are given relative.
    pub fn beside_the_file(&self, path: &str) -> PathBuf {
        let folder = self.layers.file.and_then(|(file, _)| file.parent()).unwrap_or_else(|| Path::new(""));
        self.around.directory.join(folder).join(path)
    }
}
