//! The module directory: loads components as their world, under what the operator granted, and anew when a file
//! changes. A component that does not load changes nothing: its last answers stay in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::{ChainSpec, ObjectName};
use wasm_host::{
    ClassifierModule, EngineSet, Grants, Limits, LoadError, ModuleFault, SteeringModule,
};

use crate::classify;
use crate::grants::{Kept, Policy};
use crate::steer;

/// Largest component file, in bytes.
const MODULE_LEN_MAX: u64 = 32 << 20;

/// Why a module gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    #[error(
        "module `{module}` is not in the module directory; hint: build it with `weft build` and put it there"
    )]
    Missing { module: String },
    #[error("module `{module}` has {len} bytes, over the limit of {MODULE_LEN_MAX}")]
    TooLarge { module: String, len: u64 },
    #[error("module `{module}` is refused: {why}")]
    Refused { module: String, why: String },
    #[error("module `{module}`: {why}")]
    Fault {
        module: String,
        reason: &'static str,
        why: String,
    },
}

impl ModuleError {
    /// The reason in one word, for a status condition.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ModuleNotFound",
            Self::TooLarge { .. } => "ModuleTooLarge",
            Self::Refused { .. } => "ModuleRefused",
            Self::Fault { reason, .. } => reason,
        }
    }

    pub(crate) fn fault(module: &str, fault: &ModuleFault) -> Self {
        let source = std::error::Error::source(fault).map(ToString::to_string);
        let why = source.map_or_else(|| fault.to_string(), |source| format!("{fault}: {source}"));
        Self::Fault {
            module: module.to_owned(),
            reason: reason(fault),
            why,
        }
    }
}

/// The engine for modules did not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(String);

/// The module directory, and what was loaded from it.
pub struct Modules {
    directory: PathBuf,
    engines: EngineSet,
    kept: BTreeMap<String, Kept>,
    classifiers: Shelf<ClassifierModule>,
    steerings: Shelf<SteeringModule>,
    pub(crate) rules: classify::Answers,
    pub(crate) choices: steer::Answers,
}

/// Modules of one world by file name.
type Shelf<M> = BTreeMap<String, Loaded<M>>;

struct Loaded<M> {
    stamp: Stamp,
    module: Result<M, ModuleError>,
}

/// Tells one content of a component and its grants from the next.
pub(crate) type Stamp = [Option<(u64, SystemTime)>; 2];

/// A world's own way to load.
type Load<M> = fn(&EngineSet, &[u8], &Grants, Limits) -> Result<M, LoadError>;

impl Modules {
    /// Starts the engine; loads nothing yet.
    ///
    /// # Errors
    /// [`EngineError`] when this host cannot run modules.
    pub fn new(directory: PathBuf) -> Result<Self, EngineError> {
        let engines = EngineSet::new().map_err(|e| EngineError(format!("{e:#}")))?;
        Ok(Self {
            directory,
            engines,
            kept: BTreeMap::new(),
            classifiers: Shelf::new(),
            steerings: Shelf::new(),
            rules: classify::Answers::default(),
            choices: steer::Answers::default(),
        })
    }

    /// Whether a file in use has changed since it was loaded.
    pub fn rescan(&self) -> bool {
        let classifiers = self.classifiers.iter().map(|(name, l)| (name, l.stamp));
        let steerings = self.steerings.iter().map(|(name, l)| (name, l.stamp));
        classifiers
            .chain(steerings)
            .any(|(name, loaded)| stamp(&self.directory.join(name)) != loaded)
    }

    /// The figures of the modules that `spec` names, one line each.
    pub(crate) fn figures(&self, spec: &ChainSpec) -> Vec<String> {
        let steering = spec.steering.as_ref().map(|s| s.module.as_str());
        let names = std::iter::once(spec.classifier.module.as_str()).chain(steering);
        names
            .filter_map(|name| Some((name, self.kept.get(name)?)))
            .flat_map(|(name, kept)| {
                let lines = kept.metrics.lines().into_iter();
                lines.map(move |line| format!("{name}: {line}"))
            })
            .collect()
    }

    /// Forgets the answers about chains that are gone.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&ObjectName) -> bool) {
        self.rules.retain(|chain, _| !is_gone(chain));
        self.choices.retain(|(chain, _), _| !is_gone(chain));
    }

    pub(crate) fn classifier(
        &mut self,
        name: &str,
    ) -> (Stamp, Result<ClassifierModule, ModuleError>) {
        let load: Load<_> = ClassifierModule::load;
        let (shelf, place) = (&mut self.classifiers, (&*self.directory, &self.engines));
        module(shelf, place, &mut self.kept, name, load)
    }

    pub(crate) fn steering(&mut self, name: &str) -> (Stamp, Result<SteeringModule, ModuleError>) {
        let load: Load<_> = SteeringModule::load;
        let (shelf, place) = (&mut self.steerings, (&*self.directory, &self.engines));
        module(shelf, place, &mut self.kept, name, load)
    }
}

fn module<M: Clone>(
    shelf: &mut Shelf<M>,
    (directory, engines): (&Path, &EngineSet),
    kept: &mut BTreeMap<String, Kept>,
    name: &str,
    with: Load<M>,
) -> (Stamp, Result<M, ModuleError>) {
    let path = directory.join(name);
    let now = stamp(&path);
    if let Some(loaded) = shelf.get(name)
        && loaded.stamp == now
    {
        return (now, loaded.module.clone());
    }
    let kept = kept.entry(name.to_owned()).or_default();
    let module = load(engines, name, &path, now, kept, with);
    let loaded = Loaded {
        stamp: now,
        module: module.clone(),
    };
    shelf.insert(name.to_owned(), loaded);
    (now, module)
}

fn load<M>(
    engines: &EngineSet,
    name: &str,
    path: &Path,
    stamp: Stamp,
    kept: &mut Kept,
    with: Load<M>,
) -> Result<M, ModuleError> {
    let module = name.to_owned();
    match stamp {
        [None, _] => return Err(ModuleError::Missing { module }),
        [Some((len, _)), _] if len > MODULE_LEN_MAX => {
            return Err(ModuleError::TooLarge { module, len });
        }
        [Some(_), _] => {}
    }
    let refused = |why: String| ModuleError::Refused {
        module: module.clone(),
        why,
    };
    let policy = Policy::read(&grants_path(path)).map_err(|error| refused(error.to_string()))?;
    let (grants, limits) = policy
        .open(name, kept)
        .map_err(|error| refused(error.to_string()))?;
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    with(engines, &bytes, &grants, limits).map_err(|error| refused(error.to_string()))
}

/// `web.wasm` is granted what `web.yaml` beside it says.
fn grants_path(module: &Path) -> PathBuf {
    module.with_extension("yaml")
}

fn stamp(path: &Path) -> Stamp {
    let of = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.len(), meta.modified().ok()?))
    };
    [of(path), of(&grants_path(path))]
}

const fn reason(fault: &ModuleFault) -> &'static str {
    match fault {
        ModuleFault::Trap(_) => "ModuleTrapped",
        ModuleFault::Deadline(_) => "ModuleDeadlineExceeded",
        ModuleFault::OutOfMemory { .. } => "ModuleOutOfMemory",
        ModuleFault::StateTooLarge { .. } => "ModuleStateTooLarge",
        ModuleFault::BadAnswer(_) | ModuleFault::BadChoice(_) => "ModuleAnswerInvalid",
        ModuleFault::Fault(_) => "ModuleFault",
        ModuleFault::Host(_) => "ModuleHostError",
        ModuleFault::Dead | ModuleFault::Resting => "ModuleDead",
    }
}

#[cfg(test)]
mod tests;
