//! Exports of the `packet-function` world for any [`PacketFunction`].

use crate::bindings::capabilities::weft::types::faults;
use crate::bindings::packet_function::exports::weft::packet::{hot, lifecycle, stats};
use crate::descriptor::{ABI, Descriptor};
use crate::{Batch, Nanos, PacketFunction, Port, PortId};

/// What the export macro implements for its crate.
pub trait Exported {
    /// The author's type.
    type Function: PacketFunction + Default + 'static;
    /// Crate name.
    const NAME: &'static str;
    /// Crate version.
    const VERSION: &'static str;
    /// Lends the module's only instance.
    fn with<R>(call: impl FnOnce(&mut Running<Self::Function>) -> R) -> R;
}

/// A function and the memory its host writes to.
#[derive(Debug, Default)]
pub struct Running<F> {
    function: F,
    table: Vec<Descriptor>,
    window_bytes: u32,
    slot_bytes: u32,
}

impl<E: Exported> lifecycle::Guest for E {
    fn describe() -> lifecycle::About {
        lifecycle::About {
            name: E::NAME.into(),
            version: E::VERSION.into(),
        }
    }

    fn configure(
        config: String,
        ports: Vec<lifecycle::Port>,
        room: lifecycle::Room,
    ) -> Result<lifecycle::Layout, faults::Fault> {
        super::report_panics();
        let ports: Vec<Port> = ports
            .into_iter()
            .map(|port| Port {
                id: PortId(port.id),
                name: port.name,
                mtu: port.mtu,
            })
            .collect();
        E::with(|running| {
            running.function.configure(&config, &ports)?;
            running.table = vec![Descriptor::default(); usize::from(room.batch_max)];
            running.window_bytes = room.window_bytes;
            running.slot_bytes = room.slot_bytes;
            let interval = running.function.tick_interval();
            Ok(lifecycle::Layout {
                abi: ABI,
                table: u32::try_from(running.table.as_ptr().expose_provenance())
                    .unwrap_or_default(),
                tick_ms: interval.map(|every| u32::try_from(every.as_millis()).unwrap_or(u32::MAX)),
            })
        })
    }

    fn save(bytes_max: u32) -> Vec<u8> {
        E::with(|running| running.function.save(bytes_max as usize))
    }

    fn restore(from_version: String, state: Vec<u8>) -> Result<(), faults::Fault> {
        E::with(|running| Ok(running.function.restore(&from_version, &state)?))
    }
}

impl<E: Exported> hot::Guest for E {
    fn process(window: u32, count: u32, now_ns: u64) {
        E::with(|running| {
            let Running {
                function,
                table,
                window_bytes,
                slot_bytes,
            } = running;
            let count = (count as usize).min(table.len());
            let table = table.get_mut(..count).unwrap_or_default();
            super::window::with(window, *window_bytes, |window| {
                function.process(&mut Batch::new(table, window, *slot_bytes, Nanos(now_ns)));
            });
        });
    }

    fn tick(now_ns: u64) {
        E::with(|running| running.function.tick(Nanos(now_ns)));
    }
}

impl<E: Exported> stats::Guest for E {
    fn read() -> Vec<stats::Counter> {
        let counters = E::with(|running| running.function.counters());
        counters
            .into_iter()
            .map(|(name, value)| stats::Counter { name, value })
            .collect()
    }
}
