//! Native functions: frames are copied out of the ring into memory that no peer can write, and from
//! there into the next ring.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use memif_rs::{BurstError, Memory, Queues, RingError, RxQueue, TxQueue};
use weft_sdk::{Batch, Descriptor, Nanos, PacketFunction, Port};

use crate::args::NativeArgs;
use crate::counters::{Counters, DropReason};
use crate::plane::{BATCH_MAX, Loaded, Loader, Plane, SLOT_BYTES};
use crate::run;

/// Runs `F` as the CNF of this pod until SIGTERM: the whole `main` of a native CNF.
pub fn run_native<F: PacketFunction + Default + Send + 'static>() -> ExitCode {
    let args = NativeArgs::parse();
    run::main(&args.common, None, |ports| {
        let loader = NativeLoader::<F>::new(ports.to_vec());
        Ok((loader, NativePlane::new(ports.len())))
    })
}

struct NativeLoader<F> {
    ports: Vec<Port>,
    function: std::marker::PhantomData<fn() -> F>,
}

impl<F> NativeLoader<F> {
    const fn new(ports: Vec<Port>) -> Self {
        Self {
            ports,
            function: std::marker::PhantomData,
        }
    }
}

impl<F: PacketFunction + Default + Send + 'static> Loader for NativeLoader<F> {
    type Next = F;

    fn load(&self, _module: Option<&Path>, config: &str) -> anyhow::Result<Loaded<F>> {
        let mut next = F::default();
        next.configure(config, &self.ports)?;
        let path = std::any::type_name::<F>();
        let name = path.rsplit("::").next().unwrap_or(path).to_owned();
        Ok(Loaded {
            next,
            name,
            digest: String::new(),
        })
    }

    fn kind(&self) -> &'static str {
        "native"
    }
}

struct Link {
    rx: Vec<RxQueue>,
    tx: Vec<TxQueue>,
}

pub(crate) struct NativePlane<F> {
    function: Option<F>,
    links: Vec<Option<Link>>,
    window: Vec<u8>,
    table: Vec<Descriptor>,
    tick_due: Option<Nanos>,
}

impl<F: PacketFunction> NativePlane<F> {
    pub(crate) fn new(ports: usize) -> Self {
        Self {
            function: None,
            links: (0..ports).map(|_| None).collect(),
            window: vec![0; BATCH_MAX * SLOT_BYTES as usize],
            table: Vec::with_capacity(BATCH_MAX),
            tick_due: None,
        }
    }

    fn receive(&mut self, port: usize, counters: &mut Counters) -> Result<(), RingError> {
        self.table.clear();
        let Some(Some(link)) = self.links.get_mut(port) else {
            return Ok(());
        };
        let port_id = u8::try_from(port).unwrap_or(u8::MAX);
        let slot_bytes = SLOT_BYTES as usize;
        for rx in &mut link.rx {
            let room = BATCH_MAX - self.table.len();
            let count = rx.peek(room)?;
            for packet in rx.packets() {
                let index = self.table.len();
                let slots = self
                    .window
                    .get_mut(index * slot_bytes..(index + 1) * slot_bytes);
                let (Some(slot), Ok(length)) = (slots, u16::try_from(packet.len())) else {
                    counters.drops.add(DropReason::TooLong, 1);
                    continue;
                };
                if usize::from(length) > slot_bytes {
                    counters.drops.add(DropReason::TooLong, 1);
                    continue;
                }
                packet.copy_out(0, slot);
                let offset = u32::try_from(index * slot_bytes).unwrap_or(u32::MAX);
                self.table
                    .push(Descriptor::received(offset, length, port_id));
            }
            counters.received(port, count);
            rx.release_all();
        }
        Ok(())
    }

    fn send(&mut self, counters: &mut Counters) {
        let ports = self.links.len();
        for (index, descriptor) in self.table.iter().enumerate() {
            let start = u32::try_from(index)
                .unwrap_or(u32::MAX)
                .saturating_mul(SLOT_BYTES);
            let received = Descriptor::received(start, 0, 0);
            if !descriptor.is_sound(&received, SLOT_BYTES, ports) {
                counters.drops.add(DropReason::BadVerdict, 1);
                continue;
            }
            if descriptor.verdict != weft_sdk::descriptor::FORWARD {
                continue;
            }
            let first = descriptor.offset as usize;
            let bytes = self
                .window
                .get(first..first + usize::from(descriptor.length));
            let out = usize::from(descriptor.port);
            let queue = self
                .links
                .get_mut(out)
                .and_then(Option::as_mut)
                .and_then(|l| l.tx.first_mut());
            match (queue, bytes) {
                (Some(tx), Some(bytes)) => match tx.push(&[bytes]) {
                    Ok(true) => counters.sent(out, 1),
                    Ok(false) | Err(_) => counters.drops.add(DropReason::RingFull, 1),
                },
                (None, _) => counters.drops.add(DropReason::LinkDown, 1),
                (_, None) => counters.drops.add(DropReason::BadVerdict, 1),
            }
        }
        for tx in self
            .links
            .iter_mut()
            .flatten()
            .filter_map(|l| l.tx.first_mut())
        {
            tx.commit();
        }
    }
}

impl<F: PacketFunction + Send + 'static> Plane for NativePlane<F> {
    type Next = F;

    fn memory(&self) -> Memory {
        Memory::Copy {
            buffer_size: SLOT_BYTES,
        }
    }

    fn attach(&mut self, port: usize, queues: Queues) {
        if let (Some(place), Queues::Copy { rx, tx }) = (self.links.get_mut(port), queues) {
            *place = Some(Link { rx, tx });
        }
    }

    fn detach(&mut self, port: usize) {
        if let Some(place) = self.links.get_mut(port) {
            *place = None;
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
        let Some(function) = &mut self.function else {
            counters
                .drops
                .add(DropReason::Fault, self.table.len() as u64);
            return Ok(self.table.len());
        };
        function.process(&mut Batch::new(
            &mut self.table,
            &mut self.window,
            SLOT_BYTES,
            now,
        ));
        self.send(counters);
        Ok(self.table.len())
    }

    fn tick(&mut self, now: Nanos) {
        if let (Some(due), Some(function)) = (self.tick_due, &mut self.function)
            && now >= due
        {
            function.tick(now);
            self.tick_due = function.tick_interval().map(|every| after(now, every));
        }
    }

    fn next_tick(&self) -> Option<Nanos> {
        self.tick_due
    }

    fn arm(&mut self) -> bool {
        let queues = self
            .links
            .iter_mut()
            .flatten()
            .flat_map(|l| l.rx.iter_mut());
        let mut waiting = false;
        for rx in queues {
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

    fn swap(&mut self, mut next: F) {
        if let Some(old) = &self.function
            && let Err(fault) = next.restore(env!("CARGO_PKG_VERSION"), &old.save(usize::MAX))
        {
            tracing::warn!(%fault, "successor starts without its predecessor's state");
        }
        self.tick_due = next.tick_interval().map(|_| Nanos(0));
        self.function = Some(next);
    }

    fn function_counters(&mut self) -> BTreeMap<String, u64> {
        self.function
            .as_ref()
            .map(|f| f.counters().into_iter().collect())
            .unwrap_or_default()
    }

    fn faults(&self) -> (u64, String) {
        (0, String::new())
    }
}

/// `now + every`.
pub(crate) fn after(now: Nanos, every: std::time::Duration) -> Nanos {
    Nanos(
        now.0
            .saturating_add(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)),
    )
}
