//! Authority: what of the host a module may see.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::bindings::capabilities::weft::host::{clock, files, key_value, log, metrics, random};
use crate::capability::{KeyValueScope, Metrics, ReadOnlyDir};
use crate::state::HostState;

const LOG: &str = "weft:host/log@0.1.0-alpha.1";
const CLOCK: &str = "weft:host/clock@0.1.0-alpha.1";
const RANDOM: &str = "weft:host/random@0.1.0-alpha.1";
const METRICS: &str = "weft:host/metrics@0.1.0-alpha.1";
const KEY_VALUE: &str = "weft:host/key-value@0.1.0-alpha.1";
const FILES: &str = "weft:host/files@0.1.0-alpha.1";

/// Capabilities the operator allows. The default allows the log and the date, which reveal and change nothing outside
/// of the module.
#[derive(Debug, Clone)]
pub struct Grants {
    /// The module's name in the host's log.
    pub module: Arc<str>,
    /// Lines in the host's log.
    pub log: bool,
    /// The date.
    pub clock: bool,
    /// Random numbers.
    pub random: bool,
    /// Figures, and where they are kept.
    pub metrics: Option<Metrics>,
    /// Values that outlive an instance.
    pub key_value: Option<KeyValueScope>,
    /// A directory to read.
    pub files: Option<ReadOnlyDir>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            log: true,
            clock: true,
            ..Self::none()
        }
    }
}

impl Grants {
    /// Allows nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            module: "module".into(),
            log: false,
            clock: false,
            random: false,
            metrics: None,
            key_value: None,
            files: None,
        }
    }

    /// `None`: no such capability exists.
    pub(crate) fn allows(&self, import: &str) -> Option<bool> {
        match import {
            LOG => Some(self.log),
            CLOCK => Some(self.clock),
            RANDOM => Some(self.random),
            METRICS => Some(self.metrics.is_some()),
            KEY_VALUE => Some(self.key_value.is_some()),
            FILES => Some(self.files.is_some()),
            _ => None,
        }
    }

    /// Links what is granted and nothing else.
    pub(crate) fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        if self.log {
            log::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.clock {
            clock::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.random {
            random::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.metrics.is_some() {
            metrics::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.key_value.is_some() {
            key_value::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.files.is_some() {
            files::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        Ok(())
    }
}
