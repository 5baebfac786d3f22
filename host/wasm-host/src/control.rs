//! What all control-plane worlds share: a fresh instance per answer, and the answer is checked before anyone sees it.

use wasmtime::component::InstancePre;
use weft_sdk::{About, Fault, FaultKind};

use crate::answer::AnswerError;
use crate::bindings::capabilities::weft::types::faults;
use crate::engine::EngineSet;
use crate::fault::{ChoiceError, LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::{Limits, POOL_MEMORY_BYTES};
use crate::load;
use crate::state::HostState;

pub(crate) type Store = wasmtime::Store<HostState>;

/// A module that was checked and compiled, bound to its world by `P`.
#[derive(Clone)]
pub(crate) struct Control<P> {
    engines: EngineSet,
    module: P,
    grants: Grants,
    limits: Limits,
}

/// Why a call gave no answer.
pub(crate) enum Stop {
    Trap(wasmtime::Error),
    Fault(Fault),
    Rules(AnswerError),
    Choice(ChoiceError),
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<faults::Fault> for Stop {
    fn from(fault: faults::Fault) -> Self {
        Self::Fault(raise(fault))
    }
}

/// Makes a world's typed bindings of a linked component.
pub(crate) type Bind<P> = fn(InstancePre<HostState>) -> wasmtime::Result<P>;

impl<P> Control<P> {
    pub(crate) fn load(
        engines: &EngineSet,
        bytes: &[u8],
        grants: &Grants,
        limits: Limits,
        (world, bind): (&'static str, Bind<P>),
    ) -> Result<Self, LoadError> {
        if limits.memory_bytes > POOL_MEMORY_BYTES {
            let reason = format!("a memory limit above {POOL_MEMORY_BYTES} bytes");
            return Err(LoadError::Host(reason));
        }
        let module = load::load(engines.control(), bytes, grants, world)?;
        let module = bind(module).map_err(|error| load::wrong_world(world, &error))?;
        Ok(Self {
            engines: engines.clone(),
            module,
            grants: grants.clone(),
            limits,
        })
    }

    /// Runs `work` on a fresh instance. What it wrote to its scope takes effect only if it succeeds.
    pub(crate) fn call<R>(
        &self,
        work: impl FnOnce(&P, &mut Store) -> Result<R, Stop>,
    ) -> Result<R, ModuleFault> {
        let _watch = self.engines.watch();
        let mut store = load::store(self.engines.control(), &self.grants, &self.limits, 0);
        let answer = work(&self.module, &mut store).map_err(|stop| match stop {
            Stop::Fault(fault) => ModuleFault::Fault(fault),
            Stop::Rules(error) => ModuleFault::BadAnswer(error),
            Stop::Choice(error) => ModuleFault::BadChoice(error),
            Stop::Trap(error) => load::judge(&error, store.data(), &self.limits),
        })?;
        store.data_mut().end_call();
        Ok(answer)
    }
}

pub(crate) fn about(about: faults::About) -> About {
    About {
        name: about.name,
        version: about.version,
    }
}

/// Writes a module's fault in the SDK's words.
pub(crate) fn raise(fault: faults::Fault) -> Fault {
    let faults::Fault {
        kind,
        message,
        field,
    } = fault;
    let kind = match kind {
        faults::FaultKind::InvalidConfig => FaultKind::InvalidConfig,
        faults::FaultKind::Unsupported => FaultKind::Unsupported,
        faults::FaultKind::NotReady => FaultKind::NotReady,
        faults::FaultKind::Internal => FaultKind::Internal,
        faults::FaultKind::Other(other) => FaultKind::Other(other),
    };
    Fault {
        kind,
        message,
        field,
    }
}
