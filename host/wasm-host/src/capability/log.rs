//! Lines in the host's log, cut to size and limited in rate.

use std::time::{Duration, Instant};

use crate::bindings::capabilities::weft::host::log;
use crate::state::HostState;

/// Longest log message; the rest is cut.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Most fields of a line, and longest value of one in characters.
const FIELDS_MAX: usize = 8;
/// Most log lines in one [`WINDOW`].
const LINES_MAX: u32 = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// Counts the lines of one instance.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    lines: u32,
    since: Option<Instant>,
}

impl Limiter {
    fn admits(&mut self, now: Instant) -> bool {
        let fresh = self
            .since
            .is_none_or(|since| now.duration_since(since) >= WINDOW);
        if fresh {
            self.since = Some(now);
            self.lines = 0;
        }
        self.lines += 1;
        self.lines <= LINES_MAX
    }
}

impl log::Host for HostState {
    fn emit(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        if !self.limiter.admits(Instant::now()) {
            return;
        }
        let message = message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let message = message.unwrap_or_default();
        let fields = fields
            .iter()
            .take(FIELDS_MAX)
            .map(|(k, v)| format!("{k}={v:.64}"))
            .collect::<Vec<_>>();
        let fields = fields.join(" ");
        let module = &*self.grants.module;
        match level {
            log::Level::Trace => tracing::trace!(target: "module", module, %fields, "{message}"),
            log::Level::Debug => tracing::debug!(target: "module", module, %fields, "{message}"),
            log::Level::Info => tracing::info!(target: "module", module, %fields, "{message}"),
            log::Level::Warn => tracing::warn!(target: "module", module, %fields, "{message}"),
            log::Level::Error => tracing::error!(target: "module", module, %fields, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_not_admitted_until_the_window_is_over() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let admitted = (0..200).filter(|_| limiter.admits(start)).count();
        assert_eq!(admitted, 50);
        assert!(limiter.admits(start + WINDOW));
    }
}
