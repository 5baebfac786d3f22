//! The host's side of one instance: capabilities and the ceiling.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::HasData;

use crate::bindings::control::weft::host::{clock, log};
use crate::limits::{Ceiling, Limits};

/// Longest log message; the rest is cut.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Most log lines in one [`LOG_WINDOW`].
const LINES_MAX: u32 = 50;
const LOG_WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) ceiling: Ceiling,
    /// Date of the running call, read once.
    unix_ms: Option<u64>,
    lines: u32,
    lines_since: Option<Instant>,
}

impl HasData for HostState {
    type Data<'a> = &'a mut Self;
}

impl HostState {
    /// `mapped` bytes are there beside the module's own memory.
    pub(crate) const fn new(limits: &Limits, mapped: usize) -> Self {
        let memory_bytes = limits.memory_bytes.saturating_add(mapped);
        let ceiling = Ceiling {
            memory_bytes,
            refused: false,
        };
        Self {
            ceiling,
            unix_ms: None,
            lines: 0,
            lines_since: None,
        }
    }

    pub(crate) const fn begin_call(&mut self) {
        self.unix_ms = None;
        self.ceiling.refused = false;
    }

    fn may_log(&mut self) -> bool {
        let now = Instant::now();
        let fresh = self
            .lines_since
            .is_none_or(|since| now.duration_since(since) >= LOG_WINDOW);
        if fresh {
            self.lines_since = Some(now);
            self.lines = 0;
        }
        self.lines += 1;
        self.lines <= LINES_MAX
    }
}

impl log::Host for HostState {
    fn emit(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        if !self.may_log() {
            return;
        }
        let message = message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let message = message.unwrap_or_default();
        let fields = fields
            .iter()
            .take(8)
            .map(|(k, v)| format!("{k}={v:.64}"))
            .collect::<Vec<_>>();
        let fields = fields.join(" ");
        match level {
            log::Level::Trace => tracing::trace!(target: "module", %fields, "{message}"),
            log::Level::Debug => tracing::debug!(target: "module", %fields, "{message}"),
            log::Level::Info => tracing::info!(target: "module", %fields, "{message}"),
            log::Level::Warn => tracing::warn!(target: "module", %fields, "{message}"),
            log::Level::Error => tracing::error!(target: "module", %fields, "{message}"),
        }
    }
}

impl clock::Host for HostState {
    fn now_unix_ms(&mut self) -> u64 {
        *self.unix_ms.get_or_insert_with(|| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}
