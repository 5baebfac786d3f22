//! Classifiers: a picture of a chain in, rules out.

use weft_sdk::{About, RuleSet, View};

use crate::answer;
use crate::bindings::classifier::{ClassifierModule as Bound, ClassifierModulePre};
use crate::control::{self, Control, Stop, Store};
use crate::engine::EngineSet;
use crate::fault::{LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::state::HostState;

const WORLD: &str = "weft:control/classifier-module@0.1.0-alpha.1";

/// A classifier that was checked and compiled. Cheap to clone, and any thread may call it.
#[derive(Clone)]
pub struct ClassifierModule(Control<ClassifierModulePre<HostState>>);

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
        let world = (WORLD, ClassifierModulePre::new as _);
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

    /// Configures a fresh instance, asks it for the rules of `view` and checks its answer.
    ///
    /// # Errors
    /// [`ModuleFault`]. Rules in force stay: this call changes nothing.
    pub fn compile(&self, config: &str, view: &View) -> Result<RuleSet, ModuleFault> {
        self.0.call(|module, store| {
            let module = module.instantiate(&mut *store)?;
            configure(&module, store, config)?;
            let wire = answer::lower(view);
            let rules = module
                .weft_control_classifier()
                .call_compile(store, &wire)??;
            answer::check(rules, view.rules_max).map_err(Stop::Rules)
        })
    }
}

fn configure(module: &Bound, store: &mut Store, config: &str) -> Result<About, Stop> {
    let lifecycle = module.weft_control_lifecycle();
    Ok(control::about(lifecycle.call_configure(store, config)??))
}
