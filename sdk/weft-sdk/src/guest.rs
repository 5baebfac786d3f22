//! The wasm32 side of the export macros: contract types in and out of the SDK's own.

pub mod classifier;
pub mod packet_function;
pub mod steering;
mod window;

use std::panic;
use std::sync::Once;

use crate::bindings::capabilities::weft::host::log;
use crate::bindings::capabilities::weft::types::faults;
use crate::log::Level;
use crate::{Fault, FaultKind};

pub(crate) fn emit(level: Level, message: &str, fields: &[(&str, &str)]) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    let fields: Vec<_> = fields
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    log::emit(level, message, &fields);
}

/// Lets the text of a panic reach the operator before the trap that follows it.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| emit(Level::Error, &info.to_string(), &[])));
    });
}

impl From<Fault> for faults::Fault {
    fn from(
        Fault {
            kind,
            message,
            field,
        }: Fault,
    ) -> Self {
        let kind = match kind {
            FaultKind::InvalidConfig => faults::FaultKind::InvalidConfig,
            FaultKind::Unsupported => faults::FaultKind::Unsupported,
            FaultKind::NotReady => faults::FaultKind::NotReady,
            FaultKind::Internal => faults::FaultKind::Internal,
            FaultKind::Other(other) => faults::FaultKind::Other(other),
        };
        Self {
            kind,
            message,
            field,
        }
    }
}
