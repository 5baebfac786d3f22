//! The wasm32 side of the export macros: contract types in and out of the SDK's own.

pub mod classifier;
pub mod packet_function;
mod window;

use std::panic;
use std::sync::Once;

use crate::bindings::packet_function::weft::host::log;
use crate::bindings::{classifier_module, packet_function as packet_world};
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

macro_rules! fault_into {
    ($world:ident) => {
        impl From<Fault> for $world::weft::types::faults::Fault {
            fn from(
                Fault {
                    kind,
                    message,
                    field,
                }: Fault,
            ) -> Self {
                use $world::weft::types::faults::FaultKind as Wire;
                let kind = match kind {
                    FaultKind::InvalidConfig => Wire::InvalidConfig,
                    FaultKind::Unsupported => Wire::Unsupported,
                    FaultKind::NotReady => Wire::NotReady,
                    FaultKind::Internal => Wire::Internal,
                    FaultKind::Other(other) => Wire::Other(other),
                };
                Self {
                    kind,
                    message,
                    field,
                }
            }
        }
    };
}

fault_into!(classifier_module);
fault_into!(packet_world);
