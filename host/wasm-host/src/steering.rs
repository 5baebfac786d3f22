//! Steering: a hop and its candidates in, a choice out.

mod choice;

use weft_sdk::{About, Choice, HopView};

use crate::bindings::steering::{SteeringModule as Bound, SteeringModulePre};
use crate::control::{self, Control, Stop, Store};
use crate::engine::EngineSet;
use crate::fault::{LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::state::HostState;

const WORLD: &str = "weft:control/steering-module@0.1.0-alpha.1";

/// A steering module that was checked and compiled. Cheap to clone, and any thread may call it.
#[derive(Clone)]
pub struct SteeringModule(Control<SteeringModulePre<HostState>>);

impl SteeringModule {
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
        let world = (WORLD, SteeringModulePre::new as _);
        Control::load(engines, bytes, grants, limits, world).map(Self)
    }

    /// Asks whether the module takes a configuration, and who it is.
    ///
    /// # Errors
    /// [`ModuleFault`]; [`ModuleFault::Fault`] is the module's own refusal.
    pub fn check_config(&self, config: &str) -> Result<About, ModuleFault> {
        self.0
            .call(|module, store| configure(&module.instantiate(&mut *store)?, store, config))
    }

    /// Configures a fresh instance, asks it who serves the hop of `view` and checks its answer.
    ///
    /// # Errors
    /// [`ModuleFault`]. The choice in force stays: this call changes nothing.
    pub fn choose(&self, config: &str, view: &HopView) -> Result<Choice, ModuleFault> {
        self.0.call(|module, store| {
            let module = module.instantiate(&mut *store)?;
            configure(&module, store, config)?;
            let wire = choice::lower(view);
            let answer = module.weft_control_steering().call_choose(store, &wire)??;
            choice::check(answer, view).map_err(Stop::Choice)
        })
    }
}

fn configure(module: &Bound, store: &mut Store, config: &str) -> Result<About, Stop> {
    let lifecycle = module.weft_control_lifecycle();
    Ok(control::about(lifecycle.call_configure(store, config)??))
}
