//! Sandboxed functions: the packet memory is one sealed memfd, mapped into the module's linear memory.
//! A frame that arrived on one link leaves on another by its slot number: the runner copies nothing.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use memif_rs::{
    ArenaConfig, ArenaRegion, BufferArena, BufferDesc, BurstError, Memory, Queues, ZeroCopyRx,
    ZeroCopyTx,
};
use sha2::{Digest, Sha256};
use wasm_host::{
    EngineSet, Grants, Limits, ModuleFault, PacketModule, PacketService, ServiceSetup, Window,
};
use weft_sdk::{Descriptor, Nanos, Port};

use crate::args::ModuleArgs;
use crate::counters::{Counters, DropReason};
use crate::native::after;
use crate::plane::{BATCH_MAX, Loaded, Loader, Plane, SLOT_BYTES};
use crate::run;

/// Slots of the packet memory: the rings of a few links, and what is in flight.
const SLOTS: u32 = 8192;
/// Bytes in front of each received frame, for a function that adds a header.
const HEADROOM: u32 = 0;
/// Largest component file, in bytes.
const MODULE_LEN_MAX: u64 = 32 << 20;

/// Runs a packet function component as the CNF of this pod until SIGTERM: the whole `main` of
/// `weft-cnf`.
pub fn run_module() -> ExitCode {
    let args = ModuleArgs::parse();
    run::main(&args.common, Some(args.module), |ports| {
        let config = ArenaConfig {
            slots: SLOTS,
            slot_size: SLOT_BYTES,
            headroom: HEADROOM,
        };
        let arena = BufferArena::new(config).context("make the packet memory")?;
        let region = arena.region();
        let window = Window::shared(region.as_fd(), region.len(), SLOT_BYTES)
            .context("map the packet memory for modules")?;
        let engines = EngineSet::new().context("start the module engine")?;
        let loader = ModuleLoader {
            engines,
            window,
            ports: ports.to_vec(),
        };
        Ok((loader, ModulePlane::new(arena, region, ports.len())))
    })
}

struct ModuleLoader {
    engines: EngineSet,
    window: Window,
    ports: Vec<Port>,
}

impl Loader for ModuleLoader {
    type Next = PacketService;

    fn load(&self, module: Option<&Path>, config: &str) -> anyhow::Result<Loaded<PacketService>> {
        let path = module.context("no module path was given")?;
        let at = || format!("module `{}`", path.display());
        let len = std::fs::metadata(path).with_context(at)?.len();
        anyhow::ensure!(
            len <= MODULE_LEN_MAX,
            "{} has {len} bytes, over {MODULE_LEN_MAX}",
            at()
        );
        let bytes = std::fs::read(path).with_context(at)?;
        let module =
            PacketModule::load(&self.engines, &bytes, &Grants::default()).with_context(at)?;
        let digest = hex(&Sha256::digest(&bytes));
        let setup = ServiceSetup {
            config: config.to_owned(),
            ports: self.ports.clone(),
            batch_max: u16::try_from(BATCH_MAX).unwrap_or(u16::MAX),
            worker: 0,
            workers: 1,
            limits: Limits::default(),
        };
        let next = PacketService::start(module, self.window.clone(), setup).with_context(at)?;
        let name = next
            .about()
            .map_or_else(String::new, |about| about.name.clone());
        Ok(Loaded { next, name, digest })
    }

    fn kind(&self) -> &'static str {
        "wasm"
    }
}

struct Link {
    rx: Vec<ZeroCopyRx>,
    tx: Vec<ZeroCopyTx>,
}

struct ModulePlane {
    arena: BufferArena,
    region: Arc<ArenaRegion>,
    links: Vec<Option<Link>>,
    serving: Option<PacketService>,
    /// What a poll works on; kept to be allocated once.
    taken: Vec<BufferDesc>,
    table: Vec<Descriptor>,
    received: Vec<Descriptor>,
    out: Vec<Vec<BufferDesc>>,
    tick_due: Option<Nanos>,
}

impl ModulePlane {
    fn new(arena: BufferArena, region: Arc<ArenaRegion>, ports: usize) -> Self {
        Self {
            arena,
            region,
            links: (0..ports).map(|_| None).collect(),
            serving: None,
            taken: vec![BufferDesc::default(); BATCH_MAX],
            table: Vec::with_capacity(BATCH_MAX),
            received: Vec::with_capacity(BATCH_MAX),
            out: (0..ports).map(|_| Vec::with_capacity(BATCH_MAX)).collect(),
            tick_due: None,
        }
    }

    /// Takes what arrived on `port` into the table.
    fn receive(&mut self, port: usize, counters: &mut Counters) -> Result<(), BurstError> {
        self.table.clear();
        let Some(Some(link)) = self.links.get_mut(port) else {
            return Ok(());
        };
        let Some(rx) = link.rx.first_mut() else {
            return Ok(());
        };
        let count = rx.take_burst(&mut self.arena, &mut self.taken)?;
        let port_id = u8::try_from(port).unwrap_or(u8::MAX);
        let mut chained = false;
        for buffer in self.taken.iter().take(count) {
            let (first, last) = (!chained, !buffer.more);
            chained = buffer.more;
            let length = u16::try_from(buffer.len);
            match (first && last, self.arena.window_offset(buffer), length) {
                (true, Some(offset), Ok(length)) => {
                    self.table
                        .push(Descriptor::received(offset, length, port_id));
                }
                _ => {
                    release(&mut self.arena, buffer.slot);
                    counters.drops.add(DropReason::TooLong, u64::from(last));
                }
            }
            counters.received(port, usize::from(last));
        }
        Ok(())
    }

    /// Lets the module decide. After a fault the batch is lost and a new instance takes over, sooner or later.
    fn process(&mut self, now: Nanos, counters: &mut Counters) {
        self.received.clear();
        self.received.extend_from_slice(&self.table);
        let lost = self.table.len() as u64;
        let Some(serving) = &mut self.serving else {
            counters.drops.add(DropReason::Fault, lost);
            return;
        };
        match serving.process(&mut self.table, now) {
            Ok(report) => {
                counters
                    .drops
                    .add(DropReason::BadVerdict, u64::from(report.bad_verdicts));
            }
            Err(fault) => {
                counters.drops.add(DropReason::Fault, lost);
                self.tell(&fault);
            }
        }
    }

    fn tell(&self, fault: &ModuleFault) {
        if matches!(fault, ModuleFault::Resting) {
            return;
        }
        let faults = self.faults().0;
        if faults.is_power_of_two() {
            tracing::warn!(faults, "module failed: {fault}");
        }
    }

    /// Hands every frame to the ring that its verdict names, or its slot back to the arena.
    fn send(&mut self, counters: &mut Counters) {
        for (answer, received) in self.table.iter().zip(&self.received) {
            let forwarded = answer.verdict == weft_sdk::descriptor::FORWARD;
            let buffer = self.arena.desc_at(answer.offset, u32::from(answer.length));
            match (self.out.get_mut(usize::from(answer.port)), buffer) {
                (Some(out), Some(buffer)) if forwarded => out.push(buffer),
                _ => {
                    if let Some(buffer) = self.arena.desc_at(received.offset, 0) {
                        release(&mut self.arena, buffer.slot);
                    }
                }
            }
        }
        for (port, out) in self
            .out
            .iter_mut()
            .enumerate()
            .filter(|(_, out)| !out.is_empty())
        {
            let link = self.links.get_mut(port).and_then(Option::as_mut);
            let (sent, reason) = match link.and_then(|l| l.tx.first_mut()) {
                Some(tx) => (
                    tx.give_burst(&mut self.arena, out).unwrap_or(0),
                    DropReason::RingFull,
                ),
                None => (0, DropReason::LinkDown),
            };
            counters.sent(port, sent);
            counters.drops.add(reason, (out.len() - sent) as u64);
            for buffer in out.drain(..).skip(sent) {
                release(&mut self.arena, buffer.slot);
            }
        }
    }
}

impl Plane for ModulePlane {
    type Next = PacketService;

    fn memory(&self) -> Memory {
        Memory::Arenas(vec![Arc::clone(&self.region)])
    }

    fn attach(&mut self, port: usize, queues: Queues) {
        self.detach(port);
        if let (Some(place), Queues::ZeroCopy { rx, tx }) = (self.links.get_mut(port), queues) {
            *place = Some(Link { rx, tx });
        }
    }

    fn detach(&mut self, port: usize) {
        let Some(link) = self.links.get_mut(port).and_then(Option::take) else {
            return;
        };
        let rx = link.rx.into_iter().map(|q| q.recover(&mut self.arena));
        let failed = rx.filter(Result::is_err).count();
        let tx = link.tx.into_iter().map(|q| q.recover(&mut self.arena));
        if failed + tx.filter(Result::is_err).count() > 0 {
            tracing::error!(port, "slots of a link were not all given back");
        }
    }

    fn poll(
        &mut self,
        port: usize,
        now: Nanos,
        counters: &mut Counters,
    ) -> Result<usize, BurstError> {
        self.receive(port, counters)?;
        if self.table.is_empty() {
            return Ok(0);
        }
        self.process(now, counters);
        self.send(counters);
        Ok(self.received.len().max(1))
    }

    fn tick(&mut self, now: Nanos) {
        let due = self.tick_due.is_some_and(|due| now >= due);
        let Some(serving) = self.serving.as_mut().filter(|_| due) else {
            return;
        };
        let every = serving.tick_interval();
        if let Err(fault) = serving.tick(now) {
            self.tell(&fault);
        }
        self.tick_due = every.map(|every| after(now, every));
    }

    fn next_tick(&self) -> Option<Nanos> {
        self.tick_due
    }

    fn arm(&mut self) -> bool {
        let mut waiting = false;
        for rx in self
            .links
            .iter_mut()
            .flatten()
            .flat_map(|l| l.rx.iter_mut())
        {
            // A broken ring counts as waiting: the next poll finds and reports it.
            waiting |= rx.arm().unwrap_or(true);
        }
        waiting
    }

    fn disarm(&mut self) {
        for rx in self
            .links
            .iter_mut()
            .flatten()
            .flat_map(|l| l.rx.iter_mut())
        {
            rx.disarm();
            rx.acknowledge();
        }
    }

    fn doorbells(&self) -> Vec<BorrowedFd<'_>> {
        self.links
            .iter()
            .flatten()
            .flat_map(|l| l.rx.iter().map(AsFd::as_fd))
            .collect()
    }

    fn swap(&mut self, next: PacketService) {
        let every = next.tick_interval();
        match &mut self.serving {
            Some(serving) => {
                if let Err(fault) = serving.swap(next) {
                    tracing::warn!(%fault, "successor starts without its predecessor's state");
                }
            }
            None => self.serving = Some(next),
        }
        self.tick_due = every.map(|_| Nanos(0));
    }

    fn function_counters(&mut self) -> BTreeMap<String, u64> {
        match self.serving.as_mut().map(PacketService::counters) {
            Some(Ok(counters)) => counters.into_iter().collect(),
            Some(Err(fault)) => {
                self.tell(&fault);
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        }
    }

    fn faults(&self) -> (u64, String) {
        let faults = self.serving.as_ref().map(PacketService::faults);
        faults.map_or_else(Default::default, |(count, last)| (count, last.to_owned()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Gives a slot back that the arena knows to be ours.
fn release(arena: &mut BufferArena, slot: u32) {
    if let Err(error) = arena.free(slot) {
        tracing::error!(%error, slot, "slot is not ours to free");
    }
}
