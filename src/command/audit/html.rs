//! A report as one page.

use crate::audit::Report;

/// The page.
pub(super) fn page(_reports: &[Report]) -> String {
    String::new()
}
