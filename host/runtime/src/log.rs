//! Logging to standard error, filtered by `WEFT_LOG` (the syntax of `tracing`'s `EnvFilter`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Environment variable with the filter, such as `info,agent=debug`.
pub const FILTER_VARIABLE: &str = "WEFT_LOG";

/// Starts logging for the whole process. A second call changes nothing.
///
/// A filter that cannot be read is reported and replaced by `default_level`.
pub fn init(default_level: &str) {
    let given = std::env::var(FILTER_VARIABLE).ok();
    let parsed = given.as_deref().map(EnvFilter::try_new);
    let (filter, problem) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(problem)) => (EnvFilter::new(default_level), Some(problem)),
        None => (EnvFilter::new(default_level), None),
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    if let (Ok(()), Some(problem)) = (started, problem) {
        tracing::warn!(%problem, "{FILTER_VARIABLE} is not readable; logging at {default_level}");
    }
}
