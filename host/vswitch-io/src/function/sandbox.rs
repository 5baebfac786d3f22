//! Functions that are WebAssembly components, run by the same service that `weft-cnf` runs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use vswitch::function::{CHANGED_HEAD_MAX, HookFault, Job, LINK_LEN, Packet, Ruling, Side};
use vswitch::{BATCH_MAX, Nanos};
use wasm_host::{
    Arena, EngineSet, Grants, Limits, ModuleFault, PacketModule, PacketService, REFUSED,
    ServiceSetup,
};
use weft_sdk::{Descriptor, Port, PortId, descriptor};

use super::{FunctionError, FunctionSpec, MODULE_BYTES_MAX, Report};
use crate::device::port::Tails;

/// Bytes of a slot: a super-frame of the kernel fits.
const SLOT_BYTES: u32 = 1 << 16;
/// Longest packet a descriptor can name.
const PACKET_BYTES_MAX: usize = u16::MAX as usize;
/// Packets start at different offsets in their slots, so that they do not meet in the same sets of the caches.
const STAGGER_BYTES: u32 = 64;
const STAGGERS: u32 = 64;

/// The side of the interface, and the side of the switch.
const PORTS: [(PortId, &str); 2] = [(PortId(0), "left"), (PortId(1), "right")];

/// Reads, checks, compiles and starts modules. The engines start with the first of them.
#[derive(Debug, Default)]
pub struct Loader {
    engines: Option<EngineSet>,
}

impl Loader {
    /// Makes an instance for each worker.
    ///
    /// # Errors
    /// [`FunctionError`].
    pub fn load(
        &mut self,
        spec: &FunctionSpec,
        workers: usize,
    ) -> Result<Vec<Instance>, FunctionError> {
        let bytes = read(&spec.module)?;
        let not_loaded = |source: wasm_host::LoadError| FunctionError::NotLoaded {
            path: spec.module.clone(),
            source: source.into(),
        };
        let engines = match &self.engines {
            Some(engines) => engines,
            None => self.engines.insert(EngineSet::new().map_err(not_loaded)?),
        };
        let grants = Grants {
            module: Arc::from(spec.name.as_str()),
            ..Grants::default()
        };
        let module = PacketModule::load(engines, &bytes, &grants).map_err(not_loaded)?;
        (0..workers)
            .map(|worker| Instance::start(&module, spec, worker, workers))
            .collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FunctionError> {
    let unreadable = |source| FunctionError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MODULE_BYTES_MAX {
        return Err(FunctionError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    std::fs::read(path).map_err(unreadable)
}

/// One worker's instance of a function, with the memory that it sees packets in.
pub struct Instance {
    name: String,
    service: PacketService,
    arena: Arena,
    /// What a call works on; kept to be allocated once. `at` of a packet is its place in the job.
    table: Vec<Descriptor>,
    received: Vec<(usize, Descriptor)>,
    scratch: Vec<u8>,
    tick_due: Option<Nanos>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Instance {
    fn start(
        module: &PacketModule,
        spec: &FunctionSpec,
        worker: usize,
        workers: usize,
    ) -> Result<Self, FunctionError> {
        let not_started = |source| FunctionError::NotStarted {
            name: spec.name.clone(),
            source,
        };
        let slots = u32::try_from(BATCH_MAX).unwrap_or(u32::MAX);
        let arena = Arena::new(slots, SLOT_BYTES).map_err(|e| not_started(e.into()))?;
        let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let port = |(id, name): (PortId, &str)| Port {
            id,
            name: name.to_owned(),
            mtu: narrow(PACKET_BYTES_MAX - LINK_LEN),
        };
        let setup = ServiceSetup {
            config: spec.config.clone(),
            ports: PORTS.map(port).into(),
            batch_max: narrow(BATCH_MAX),
            worker: narrow(worker),
            workers: narrow(workers),
            limits: Limits {
                memory_bytes: (spec.memory_mib as usize) << 20,
                deadline: spec.deadline,
                ..Limits::default()
            },
        };
        let service = PacketService::start(module.clone(), arena.window().clone(), setup);
        let service = service.map_err(|e| not_started(e.into()))?;
        Ok(Self {
            name: spec.name.clone(),
            tick_due: service.tick_interval().map(|_| Nanos(0)),
            service,
            arena,
            table: Vec::with_capacity(BATCH_MAX),
            received: Vec::with_capacity(BATCH_MAX),
            scratch: vec![0; SLOT_BYTES as usize],
        })
    }

    pub(super) fn process(
        &mut self,
        job: &mut Job<'_>,
        tails: &mut Tails<'_>,
        now: Nanos,
    ) -> Result<(), HookFault> {
        self.table.clear();
        self.received.clear();
        for at in 0..job.len() {
            let Some(packet) = job.packet(at) else {
                continue;
            };
            match self.show(at, &packet, job.side(), tails) {
                Some(shown) => {
                    self.table.push(shown);
                    self.received.push((at, shown));
                }
                None => job.rule(at, Ruling::TooLong),
            }
        }
        if self.table.is_empty() {
            return Ok(());
        }
        match self
            .service
            .process(&mut self.table, weft_sdk::Nanos(now.0))
        {
            Ok(_) => {}
            Err(ModuleFault::Resting) => return Err(HookFault::Absent),
            Err(fault) => {
                self.tell(&fault);
                return Err(HookFault::Failed);
            }
        }
        for number in 0..self.table.len() {
            self.follow(number, job, tails);
        }
        Ok(())
    }

    /// Copies a packet to its slot; `None` when it is too long.
    fn show(
        &mut self,
        at: usize,
        packet: &Packet<'_>,
        side: Side,
        tails: &Tails<'_>,
    ) -> Option<Descriptor> {
        let length = u16::try_from(packet.len()).ok()?;
        let slot = u32::try_from(at).ok()?;
        let stagger = slot % STAGGERS * STAGGER_BYTES;
        let fits = u32::from(length) + stagger <= SLOT_BYTES;
        let offset = slot * SLOT_BYTES + if fits { stagger } else { 0 };
        let front = LINK_LEN + packet.head.len();
        let whole = self.scratch.get_mut(..usize::from(length))?;
        whole.get_mut(..LINK_LEN)?.copy_from_slice(&packet.link);
        whole.get_mut(LINK_LEN..front)?.copy_from_slice(packet.head);
        tails.copy(packet.tail, whole.get_mut(front..)?);
        self.arena.write(offset, whole).ok()?;
        let port = match side {
            Side::Input => 0,
            Side::Output => 1,
        };
        Some(Descriptor::received(offset, length, port))
    }

    /// Does what the function answered about one packet.
    fn follow(&mut self, number: usize, job: &mut Job<'_>, tails: &mut Tails<'_>) {
        let (Some(answer), Some((at, received))) =
            (self.table.get(number), self.received.get(number))
        else {
            return;
        };
        let is_passed = answer.verdict == descriptor::FORWARD;
        if !is_passed || answer.port != received.port ^ 1 {
            let ruling = match answer.verdict {
                descriptor::DROP => Ruling::Drop,
                // Forwarded to where it came from, or refused.
                _ => Ruling::Nonsense,
            };
            return job.rule(*at, ruling);
        }
        let is_changed = answer.flags & descriptor::CHANGED != 0
            || (answer.offset, answer.length) != (received.offset, received.length);
        if !is_changed {
            return job.rule(*at, Ruling::Pass);
        }
        let length = usize::from(answer.length);
        let Some(whole) = self.scratch.get_mut(..length) else {
            return job.rule(*at, Ruling::Nonsense);
        };
        if self.arena.read(answer.offset, whole).is_err() {
            return job.rule(*at, Ruling::Nonsense);
        }
        let Some((link, packet)) = whole.split_first_chunk() else {
            return job.rule(*at, Ruling::Nonsense);
        };
        let (head, rest) = packet.split_at(packet.len().min(CHANGED_HEAD_MAX));
        if rest.is_empty() {
            return job.change(*at, link, head, None);
        }
        match tails.pool.keep(rest) {
            Some(tail) => job.change(*at, link, head, Some(tail)),
            None => job.rule(*at, Ruling::NoRoom),
        }
    }

    pub(super) fn swap(&mut self, next: Self) {
        if let Err(fault) = self.service.swap(next.service) {
            tracing::warn!(function = self.name, %fault, "successor starts without its predecessor's state");
        }
        self.arena = next.arena;
        self.tick_due = self.service.tick_interval().map(|_| Nanos(0));
    }

    pub(super) fn report(&mut self) -> Report {
        let counters = match self.service.counters() {
            Ok(counters) => counters,
            Err(fault) => {
                self.tell(&fault);
                Vec::new()
            }
        };
        let about = self.service.about();
        let about = about.map_or_else(String::new, |a| format!("{} {}", a.name, a.version));
        let (faults, last) = self.service.faults();
        Report {
            about,
            faults,
            last_fault: last.to_owned(),
            counters,
        }
    }

    pub(super) fn tick(&mut self, now: Nanos) {
        if self.tick_due.is_none_or(|due| now < due) {
            return;
        }
        if let Err(fault) = self.service.tick(weft_sdk::Nanos(now.0)) {
            self.tell(&fault);
        }
        let every = self.service.tick_interval();
        self.tick_due = every.map(|every| {
            let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
            Nanos(now.0.saturating_add(every))
        });
    }

    pub(super) const fn next_tick(&self) -> Option<Nanos> {
        self.tick_due
    }

    fn tell(&self, fault: &ModuleFault) {
        let (faults, _) = self.service.faults();
        if faults.is_power_of_two() {
            tracing::warn!(function = self.name, faults, "function failed: {fault}");
        }
    }
}

const _: () = assert!(REFUSED != descriptor::DROP && REFUSED != descriptor::FORWARD);
