//! Control-plane modules: one fresh instance per answer.

use weft_sdk::{About, Fault, FaultKind, RuleSet, View};

use crate::answer;
use crate::bindings::control::weft::types::faults;
use crate::bindings::control::{ClassifierModule as Bound, ClassifierModulePre};
use crate::engine::EngineSet;
use crate::fault::{LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::{Limits, POOL_MEMORY_BYTES};
use crate::load;
use crate::state::HostState;

const WORLD: &str = "weft:control/classifier-module@0.1.0-alpha.1";

type Store = wasmtime::Store<HostState>;

/// A classifier that was checked and compiled. Cheap to clone, and any thread may call it.
#[derive(Clone)]
pub struct ClassifierModule {
    engines: EngineSet,
    module: ClassifierModulePre<HostState>,
    limits: Limits,
}

impl ClassifierModule {
    /// Checks and compiles a module. Takes tens of milliseconds: keep it off any serving path.
    ///
    /// # Errors
    /// [`LoadError`]; one about an import names the interface.
    pub fn load(
        engines: &EngineSet,
        bytes: &[u8],
        grants: &Grants,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        if limits.memory_bytes > POOL_MEMORY_BYTES {
            let reason = format!("a memory limit above {POOL_MEMORY_BYTES} bytes");
            return Err(LoadError::Host(reason));
        }
        let module = load::load(engines.control(), bytes, *grants, WORLD)?;
        let module =
            ClassifierModulePre::new(module).map_err(|error| load::wrong_world(WORLD, &error))?;
        Ok(Self {
            engines: engines.clone(),
            module,
            limits,
        })
    }

    /// Asks whether the module takes a configuration, and who it is.
    ///
    /// # Errors
    /// [`ModuleFault`]; [`ModuleFault::Fault`] is the module's own refusal.
    pub fn check_config(&self, config: &str) -> Result<About, ModuleFault> {
        self.call(|module, store| configure(module, store, config))
    }

    /// Configures a fresh instance, asks it for the rules of `view` and checks its answer.
    ///
    /// # Errors
    /// [`ModuleFault`]. Rules in force stay: this call changes nothing.
    pub fn compile(&self, config: &str, view: &View) -> Result<RuleSet, ModuleFault> {
        let answer = self.call(|module, store| {
            configure(module, store, config)?;
            let view = answer::lower(view);
            let answer = module
                .weft_control_classifier()
                .call_compile(&mut *store, &view);
            answer
                .map_err(Stop::Trap)?
                .map_err(|fault| Stop::Fault(raise(fault)))
        })?;
        Ok(answer::check(answer, view.rules_max)?)
    }

    fn call<R>(
        &self,
        work: impl FnOnce(&Bound, &mut Store) -> Result<R, Stop>,
    ) -> Result<R, ModuleFault> {
        let _watch = self.engines.watch();
        let mut store = load::store(self.engines.control(), &self.limits, 0);
        let bound = self.module.instantiate(&mut store).map_err(Stop::Trap);
        bound
            .and_then(|bound| work(&bound, &mut store))
            .map_err(|stop| match stop {
                Stop::Fault(fault) => ModuleFault::Fault(fault),
                Stop::Trap(error) => load::judge(&error, store.data(), &self.limits),
            })
    }
}

enum Stop {
    Trap(wasmtime::Error),
    Fault(Fault),
}

fn configure(module: &Bound, store: &mut Store, config: &str) -> Result<About, Stop> {
    let about = module
        .weft_control_lifecycle()
        .call_configure(&mut *store, config);
    let about = about
        .map_err(Stop::Trap)?
        .map_err(|fault| Stop::Fault(raise(fault)))?;
    Ok(About {
        name: about.name,
        version: about.version,
    })
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
