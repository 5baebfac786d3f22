//! Packet functions: one long-lived instance per worker, working on a window in place.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use weft_sdk::{About, Descriptor, Nanos, Port, descriptor};

use crate::bindings::packet::exports::weft::packet::lifecycle;
use crate::bindings::packet::{PacketFunction as Bound, PacketFunctionPre};
use crate::control::{self, raise};
use crate::engine::EngineSet;
use crate::fault::{LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::load;
use crate::state::HostState;
use crate::window::{Placement, Window, with_window};

const WORLD: &str = "weft:packet/packet-function@0.1.0-alpha.2";
/// Verdict that the host writes for an answer that it refuses: the packet is dropped.
pub const REFUSED: u8 = u8::MAX;

/// Most counters a function may report.
const COUNTERS_MAX: usize = 1024;

/// A packet function that was checked and compiled. Cheap to clone.
#[derive(Clone)]
pub struct PacketModule {
    engines: EngineSet,
    module: PacketFunctionPre<HostState>,
    grants: Grants,
}

/// What an instance is told when it starts.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// JSON document.
    pub config: &'a str,
    /// Ports, dense from zero.
    pub ports: &'a [Port],
    /// Most packets in one batch.
    pub batch_max: u16,
    /// Which of the workers this one is.
    pub worker: u16,
    /// How many there are.
    pub workers: u16,
    /// What one call may use.
    pub limits: Limits,
}

/// What the host saw while a batch was processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Packets whose verdict made no sense: it is [`REFUSED`] now, and they are dropped.
    pub bad_verdicts: u32,
}

impl PacketModule {
    /// Checks and compiles a module. Takes tens of milliseconds: keep it off the packet path.
    ///
    /// # Errors
    /// [`LoadError`]; one about an import names the interface.
    pub fn load(engines: &EngineSet, bytes: &[u8], grants: &Grants) -> Result<Self, LoadError> {
        let module = load::load(engines.packet(), bytes, grants, WORLD)?;
        let module =
            PacketFunctionPre::new(module).map_err(|error| load::wrong_world(WORLD, &error))?;
        Ok(Self {
            engines: engines.clone(),
            module,
            grants: grants.clone(),
        })
    }

    /// Starts an instance on a window and configures it.
    ///
    /// # Errors
    /// [`ModuleFault`]; the window is as before.
    pub fn instantiate(
        &self,
        window: &Window,
        setup: &Setup<'_>,
    ) -> Result<PacketInstance, ModuleFault> {
        let _watch = self.engines.watch();
        let limits = setup.limits;
        let engine = self.engines.packet();
        let mut store = load::store(engine, &self.grants, &limits, window.mapped_bytes());
        let (bound, placement) = with_window(window, || self.module.instantiate(&mut store));
        let bound = bound.map_err(|error| load::judge(&error, store.data(), &limits))?;
        let placement =
            placement.ok_or_else(|| ModuleFault::Host("module has no memory".to_owned()))?;
        let mut instance = PacketInstance {
            engines: self.engines.clone(),
            store,
            bound,
            placement,
            limits,
            ports: setup.ports.len(),
            batch_max: usize::from(setup.batch_max),
            slot_bytes: window.slot_bytes(),
            received: Vec::with_capacity(usize::from(setup.batch_max)),
            table: 0,
            tick: None,
            about: About {
                name: String::new(),
                version: String::new(),
            },
            dead: false,
        };
        instance.configure(window, setup)?;
        Ok(instance)
    }
}

/// A running packet function. After an error it is dead: make another one on the same window.
pub struct PacketInstance {
    engines: EngineSet,
    store: Store<HostState>,
    bound: Bound,
    placement: Arc<Placement>,
    limits: Limits,
    ports: usize,
    batch_max: usize,
    slot_bytes: u32,
    /// What the host received: the truth that answers are checked against.
    received: Vec<Descriptor>,
    /// Address of the descriptor table in the module.
    table: u32,
    tick: Option<Duration>,
    about: About,
    dead: bool,
}

impl PacketInstance {
    /// Lets the function decide about up to `batch_max` packets. In: what was received. Out: what becomes of it;
    /// offsets, lengths and ports of packets to forward are checked and can be used as they are.
    ///
    /// # Errors
    /// [`ModuleFault`]; all packets are then marked as dropped, and their bytes may have been changed.
    pub fn process(
        &mut self,
        table: &mut [Descriptor],
        now: Nanos,
    ) -> Result<BatchReport, ModuleFault> {
        self.received.clear();
        self.received.extend_from_slice(table);
        let result = self.run_batch(table, now);
        if result.is_err() {
            table.copy_from_slice(&self.received);
            table
                .iter_mut()
                .for_each(|packet| packet.verdict = descriptor::DROP);
        }
        result
    }

    fn run_batch(
        &mut self,
        table: &mut [Descriptor],
        now: Nanos,
    ) -> Result<BatchReport, ModuleFault> {
        let count = u32::try_from(table.len()).unwrap_or(u32::MAX);
        if table.len() > self.batch_max {
            return Err(ModuleFault::Host(format!(
                "batch of {count} packets is too large"
            )));
        }
        let outside = || ModuleFault::Host("descriptor table moved".to_owned());
        if !self.placement.write_table(self.table, table) {
            return Err(outside());
        }
        let window = self.placement.window_at();
        self.call(|bound, store| {
            bound
                .weft_packet_hot()
                .call_process(store, window, count, now.0)
        })?;
        if !self.placement.read_table(self.table, table) {
            return Err(outside());
        }
        let mut report = BatchReport::default();
        for (answer, received) in table.iter_mut().zip(&self.received) {
            if !answer.is_sound(received, self.slot_bytes, self.ports) {
                *answer = *received;
                answer.verdict = REFUSED;
                report.bad_verdicts += 1;
            }
        }
        Ok(report)
    }

    /// Lets the function do its housekeeping.
    ///
    /// # Errors
    /// [`ModuleFault`].
    pub fn tick(&mut self, now: Nanos) -> Result<(), ModuleFault> {
        self.call(|bound, store| bound.weft_packet_hot().call_tick(store, now.0))
    }

    /// State for a successor, of this or another version of the module. The module is told how much is taken and
    /// leaves out the oldest.
    ///
    /// # Errors
    /// [`ModuleFault`]; [`ModuleFault::StateTooLarge`] is not fatal: the instance goes on.
    pub fn save(&mut self) -> Result<Vec<u8>, ModuleFault> {
        let max = self.limits.state_bytes;
        let told = u32::try_from(max).unwrap_or(u32::MAX);
        // Wide enough that what a module can hold arrives and is refused by its size, not by a trap.
        self.store.set_hostcall_fuel(self.limits.memory_bytes);
        let saved = self.call(|bound, store| bound.weft_packet_lifecycle().call_save(store, told));
        self.store.set_hostcall_fuel(self.limits.output_bytes);
        let state = saved?;
        match state.len() {
            bytes if bytes > max => Err(ModuleFault::StateTooLarge { bytes, max }),
            _ => Ok(state),
        }
    }

    /// Takes over a predecessor's state. [`ModuleFault::Fault`] is not fatal: the function starts empty.
    ///
    /// # Errors
    /// [`ModuleFault`].
    pub fn restore(&mut self, from_version: &str, state: &[u8]) -> Result<(), ModuleFault> {
        self.call(|bound, store| {
            bound
                .weft_packet_lifecycle()
                .call_restore(store, from_version, state)
        })?
        .map_err(|fault| ModuleFault::Fault(raise(fault)))
    }

    /// Counts since the instance was made.
    ///
    /// # Errors
    /// [`ModuleFault`].
    pub fn counters(&mut self) -> Result<Vec<(String, u64)>, ModuleFault> {
        let counters = self.call(|bound, store| bound.weft_packet_stats().call_read(store))?;
        Ok(counters
            .into_iter()
            .take(COUNTERS_MAX)
            .map(|c| (c.name, c.value))
            .collect())
    }

    /// How often [`tick`](Self::tick) is wanted.
    #[must_use]
    pub const fn tick_interval(&self) -> Option<Duration> {
        self.tick
    }

    /// Who it is.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    fn configure(&mut self, window: &Window, setup: &Setup<'_>) -> Result<(), ModuleFault> {
        let port = |port: &Port| lifecycle::Port {
            id: port.id.0,
            name: port.name.clone(),
            mtu: port.mtu,
        };
        let ports: Vec<_> = setup.ports.iter().map(port).collect();
        let room = lifecycle::Room {
            batch_max: setup.batch_max,
            window_bytes: u32::try_from(window.bytes()).unwrap_or(u32::MAX),
            slot_bytes: window.slot_bytes(),
            worker: setup.worker,
            workers: setup.workers,
        };
        let about = self.call(|bound, store| bound.weft_packet_lifecycle().call_describe(store))?;
        self.about = control::about(about);
        let config = setup.config;
        let layout = self
            .call(|bound, store| {
                bound
                    .weft_packet_lifecycle()
                    .call_configure(store, config, &ports, room)
            })?
            .map_err(|fault| ModuleFault::Fault(raise(fault)))?;
        if layout.abi != descriptor::ABI {
            let reason = format!("descriptor layout {} is not known here", layout.abi);
            return Err(ModuleFault::Host(reason));
        }
        if !self
            .placement
            .is_own(layout.table, self.batch_max * descriptor::BYTES)
        {
            return Err(ModuleFault::Host(
                "descriptor table is not in the module".to_owned(),
            ));
        }
        self.table = layout.table;
        self.tick = layout
            .tick_ms
            .map(|ms| Duration::from_millis(u64::from(ms.max(1))));
        Ok(())
    }

    fn call<R>(
        &mut self,
        work: impl FnOnce(&Bound, &mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, ModuleFault> {
        if self.dead {
            return Err(ModuleFault::Dead);
        }
        let _watch = self.engines.watch();
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(self.limits.deadline_ticks());
        let answer = work(&self.bound, &mut self.store).map_err(|error| {
            self.dead = true;
            load::judge(&error, self.store.data(), &self.limits)
        })?;
        self.store.data_mut().end_call();
        Ok(answer)
    }
}
