//! Authority: what of the host a module may see.

use wasmtime::component::Linker;

use crate::bindings::control::weft::host::{clock, log};
use crate::state::HostState;

const LOG: &str = "weft:host/log@0.1.0-alpha.1";
const CLOCK: &str = "weft:host/clock@0.1.0-alpha.1";

/// Capabilities the operator allows. The default allows what reveals and changes nothing outside of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    /// Lines in the host's log.
    pub log: bool,
    /// The date.
    pub clock: bool,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            log: true,
            clock: true,
        }
    }
}

impl Grants {
    /// Allows nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            log: false,
            clock: false,
        }
    }

    /// `None`: no such capability exists.
    pub(crate) fn allows(self, import: &str) -> Option<bool> {
        match import {
            LOG => Some(self.log),
            CLOCK => Some(self.clock),
            _ => None,
        }
    }

    /// Links what is granted and nothing else.
    pub(crate) fn link(self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        if self.log {
            log::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        if self.clock {
            clock::add_to_linker::<_, HostState>(linker, |state| state)?;
        }
        Ok(())
    }
}
