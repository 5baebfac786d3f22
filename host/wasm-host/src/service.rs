//! A packet function in service: what a runner does around one, whichever runner it is.
//!
//! An instance that fails is replaced by a fresh one before the next batch; one that fails again and again before it has
//! done a single batch well is replaced later and later, and batches fail at no cost until then. A successor takes over
//! as a whole, between two batches, with its predecessor's state where it accepts it; one that cannot start never gets
//! here.

use std::time::Duration;

use weft_sdk::{About, Descriptor, Nanos, Port};

use crate::backoff::Backoff;
use crate::fault::ModuleFault;
use crate::limits::Limits;
use crate::packet_function::{BatchReport, PacketInstance, PacketModule, Setup};
use crate::window::Window;

/// What every instance of one service is started with.
#[derive(Debug, Clone)]
pub struct ServiceSetup {
    /// JSON document.
    pub config: String,
    /// Ports, dense from zero.
    pub ports: Vec<Port>,
    /// Most packets in one batch.
    pub batch_max: u16,
    /// Which of the workers this one is.
    pub worker: u16,
    /// How many there are.
    pub workers: u16,
    /// What one call may use.
    pub limits: Limits,
}

/// One worker's packet function.
pub struct PacketService {
    module: PacketModule,
    window: Window,
    setup: ServiceSetup,
    /// Absent while it is not worth a start.
    instance: Option<PacketInstance>,
    backoff: Backoff,
    tick_every: Option<Duration>,
    /// Time of the last call.
    now: Nanos,
    faults: u64,
    last_fault: String,
}

impl PacketService {
    /// Starts an instance on `window`.
    ///
    /// # Errors
    /// [`ModuleFault`]; nothing is in service then.
    pub fn start(
        module: PacketModule,
        window: Window,
        setup: ServiceSetup,
    ) -> Result<Self, ModuleFault> {
        let mut service = Self {
            module,
            window,
            setup,
            instance: None,
            backoff: Backoff::default(),
            tick_every: None,
            now: Nanos(0),
            faults: 0,
            last_fault: String::new(),
        };
        service.instance = Some(service.instantiate()?);
        service.tick_every = service.tick_interval();
        Ok(service)
    }

    /// Lets the function decide about a batch, as [`PacketInstance::process`].
    ///
    /// # Errors
    /// [`ModuleFault`]: the batch is marked as dropped, and the next one meets a fresh instance. With
    /// [`ModuleFault::Resting`] nothing was tried and no fault is counted.
    pub fn process(
        &mut self,
        table: &mut [Descriptor],
        now: Nanos,
    ) -> Result<BatchReport, ModuleFault> {
        self.now = now;
        self.wake();
        let Some(instance) = &mut self.instance else {
            let drop = weft_sdk::descriptor::DROP;
            table.iter_mut().for_each(|packet| packet.verdict = drop);
            return Err(ModuleFault::Resting);
        };
        let report = instance
            .process(table, now)
            .map_err(|fault| self.replace(fault))?;
        self.backoff.worked();
        Ok(report)
    }

    /// Lets the function do its housekeeping.
    ///
    /// # Errors
    /// [`ModuleFault`]; the instance was replaced.
    pub fn tick(&mut self, now: Nanos) -> Result<(), ModuleFault> {
        self.now = now;
        self.wake();
        let ticked = self.instance.as_mut().map(|instance| instance.tick(now));
        ticked
            .unwrap_or(Ok(()))
            .map_err(|fault| self.replace(fault))
    }

    /// Counts since the instance was made.
    ///
    /// # Errors
    /// [`ModuleFault`]; the instance was replaced.
    pub fn counters(&mut self) -> Result<Vec<(String, u64)>, ModuleFault> {
        let counters = self.instance.as_mut().map(PacketInstance::counters);
        counters
            .unwrap_or_else(|| Ok(Vec::new()))
            .map_err(|fault| self.replace(fault))
    }

    /// Puts `next` in the place of this service; the counts of faults go on.
    ///
    /// # Errors
    /// [`ModuleFault`] if `next` could not take over the state: it serves, but starts empty.
    pub fn swap(&mut self, mut next: Self) -> Result<(), ModuleFault> {
        let handed = match (&mut self.instance, &mut next.instance) {
            (Some(old), Some(new)) => hand_over(old, new),
            _ => Ok(()),
        };
        if handed.is_err() {
            // A half-restored state is none.
            next.instance = next.instantiate().ok();
        }
        next.now = self.now;
        next.faults += self.faults;
        if next.last_fault.is_empty() {
            next.last_fault = std::mem::take(&mut self.last_fault);
        }
        *self = next;
        handed
    }

    /// How often [`tick`](Self::tick) is wanted.
    #[must_use]
    pub fn tick_interval(&self) -> Option<Duration> {
        match &self.instance {
            Some(instance) => instance.tick_interval(),
            None => self.tick_every,
        }
    }

    /// Who serves, unless nobody does.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.instance.as_ref().map(PacketInstance::about)
    }

    /// How many calls failed since the first start, and why the last one did.
    #[must_use]
    pub fn faults(&self) -> (u64, &str) {
        (self.faults, &self.last_fault)
    }

    fn instantiate(&self) -> Result<PacketInstance, ModuleFault> {
        let setup = Setup {
            config: &self.setup.config,
            ports: &self.setup.ports,
            batch_max: self.setup.batch_max,
            worker: self.setup.worker,
            workers: self.setup.workers,
            limits: self.setup.limits,
        };
        self.module.instantiate(&self.window, &setup)
    }

    fn replace(&mut self, fault: ModuleFault) -> ModuleFault {
        self.instance = None;
        self.count(&fault);
        self.wake();
        fault
    }

    /// Starts an instance where there is none, if it is time to try.
    fn wake(&mut self) {
        if self.instance.is_some() || !self.backoff.is_due(self.now) {
            return;
        }
        match self.instantiate() {
            Ok(instance) => self.instance = Some(instance),
            Err(fault) => self.count(&fault),
        }
    }

    fn count(&mut self, fault: &ModuleFault) {
        self.faults += 1;
        self.last_fault = fault.to_string();
        self.backoff.failed(self.now);
    }
}

fn hand_over(old: &mut PacketInstance, new: &mut PacketInstance) -> Result<(), ModuleFault> {
    let version = old.about().version.clone();
    new.restore(&version, &old.save()?)
}
