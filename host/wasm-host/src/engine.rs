//! The two engines and the thread that keeps their deadlines.

use std::sync::Arc;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::fault::LoadError;
use crate::limits::{INSTANCES_MAX, POOL_MEMORY_BYTES};
use crate::ticker::{Ticker, Watch};
use crate::window;

/// Stack of a module; deeper recursion traps.
const STACK_BYTES: usize = 512 << 10;

/// Compilers and allocators of both sandboxes. One per process; clones share it.
#[derive(Debug, Clone)]
pub struct EngineSet(Arc<Engines>);

#[derive(Debug)]
struct Engines {
    control: Engine,
    packet: Engine,
    ticker: Ticker,
}

impl EngineSet {
    /// Prepares both engines.
    ///
    /// # Errors
    /// [`LoadError::Host`] if this machine cannot run them.
    pub fn new() -> Result<Self, LoadError> {
        let host = |error: wasmtime::Error| LoadError::Host(format!("{error:#}"));
        let control = Engine::new(&control_config()).map_err(host)?;
        let packet = Engine::new(&packet_config()).map_err(host)?;
        let ticker = Ticker::start(vec![control.weak(), packet.weak()])
            .map_err(|error| LoadError::Host(error.to_string()))?;
        Ok(Self(Arc::new(Engines {
            control,
            packet,
            ticker,
        })))
    }

    pub(crate) fn control(&self) -> &Engine {
        &self.0.control
    }

    pub(crate) fn packet(&self) -> &Engine {
        &self.0.packet
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        self.0.ticker.watch()
    }
}

fn base() -> Config {
    let mut config = Config::new();
    // Component async triples the cost of a call and no world uses it.
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

fn control_config() -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * 4)
        .total_memories(INSTANCES_MAX)
        .total_tables(INSTANCES_MAX * 2)
        .max_memory_size(POOL_MEMORY_BYTES)
        .linear_memory_keep_resident(64 << 10);
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn packet_config() -> Config {
    let mut config = base();
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // A copy-on-write image cannot be laid over memory that the host maps itself.
        .memory_init_cow(false)
        .memory_may_move(false)
        .memory_reservation(window::RESERVED_BYTES)
        .with_host_memory(window::creator());
    config
}
