//! Asks classifier modules for rules: loads them from the module directory, remembers their answers,
//! loads them anew when their file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::{ChainSpec, FlowRule, ObjectName};
use wasm_host::{ClassifierModule, EngineSet, Grants, Limits, ModuleFault};
use weft_sdk::View;

use crate::facts::Facts;
use crate::view;

/// Rules that one chain may have.
pub const RULES_MAX: u32 = 1024;

/// Largest component file, in bytes.
const MODULE_LEN_MAX: u64 = 32 << 20;

/// Decides which flows enter a chain.
pub trait Classify {
    /// The whole rule set of `chain`, by ascending priority.
    ///
    /// # Errors
    /// [`ClassifyError`]; rules in force stay.
    fn classify(
        &mut self,
        chain: &ObjectName,
        spec: &ChainSpec,
        facts: &Facts,
    ) -> Result<Vec<FlowRule>, ClassifyError>;
}

/// A chain without an answer of its module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassifyError {
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

impl ClassifyError {
    /// The reason in one word, for a status condition.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ModuleNotFound",
            Self::TooLarge { .. } => "ModuleTooLarge",
            Self::Refused { .. } => "ModuleRefused",
            Self::Fault { reason, .. } => reason,
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
    loaded: BTreeMap<String, Loaded>,
    answers: BTreeMap<ObjectName, Answer>,
}

struct Loaded {
    stamp: Stamp,
    module: Result<ClassifierModule, ClassifyError>,
}

/// Tells one content of a file from the next.
type Stamp = Option<(u64, SystemTime)>;

/// What a module said, and to which question.
struct Answer {
    stamp: Stamp,
    module: String,
    config: String,
    view: View,
    rules: Result<Vec<FlowRule>, ClassifyError>,
}

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
            loaded: BTreeMap::new(),
            answers: BTreeMap::new(),
        })
    }

    /// Whether a module file in use has changed since it was loaded.
    pub fn rescan(&mut self) -> bool {
        self.loaded
            .iter()
            .any(|(name, loaded)| stamp(&self.directory.join(name)) != loaded.stamp)
    }

    fn module(&mut self, name: &str) -> (Stamp, Result<&ClassifierModule, ClassifyError>) {
        let path = self.directory.join(name);
        let now = stamp(&path);
        let current = self.loaded.get(name).is_some_and(|l| l.stamp == now);
        if !current {
            let module = load(&self.engines, name, &path, now);
            self.loaded
                .insert(name.to_owned(), Loaded { stamp: now, module });
        }
        match self.loaded.get(name) {
            Some(loaded) => (now, loaded.module.as_ref().map_err(Clone::clone)),
            None => (
                now,
                Err(ClassifyError::Missing {
                    module: name.to_owned(),
                }),
            ),
        }
    }
}

impl Classify for Modules {
    fn classify(
        &mut self,
        chain: &ObjectName,
        spec: &ChainSpec,
        facts: &Facts,
    ) -> Result<Vec<FlowRule>, ClassifyError> {
        let view = view::view(chain, spec, facts, RULES_MAX);
        let config = spec.classifier.config.to_string();
        let name = spec.classifier.module.as_str();
        let (stamp, module) = self.module(name);
        let fresh = match &module {
            Ok(module) => Some((*module).clone()),
            Err(_) => None,
        };
        let refused = module.err();
        if let Some(answer) = self.answers.get(chain)
            && answer.stamp == stamp
            && answer.module == name
            && answer.config == config
            && answer.view == view
        {
            return answer.rules.clone();
        }
        let rules = match (fresh, refused) {
            (Some(module), _) => ask(&module, name, &config, &view),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ClassifyError::Missing {
                module: name.to_owned(),
            }),
        };
        let answer = Answer {
            stamp,
            module: name.to_owned(),
            config,
            view,
            rules: rules.clone(),
        };
        self.answers.insert(chain.clone(), answer);
        rules
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

fn load(
    engines: &EngineSet,
    name: &str,
    path: &Path,
    stamp: Stamp,
) -> Result<ClassifierModule, ClassifyError> {
    let module = name.to_owned();
    match stamp {
        None => return Err(ClassifyError::Missing { module }),
        Some((len, _)) if len > MODULE_LEN_MAX => {
            return Err(ClassifyError::TooLarge { module, len });
        }
        Some(_) => {}
    }
    let refused = |why: String| ClassifyError::Refused {
        module: module.clone(),
        why,
    };
    let bytes = std::fs::read(path).map_err(|e| refused(e.to_string()))?;
    ClassifierModule::load(engines, &bytes, &Grants::default(), Limits::default())
        .map_err(|e| refused(e.to_string()))
}

fn ask(
    module: &ClassifierModule,
    name: &str,
    config: &str,
    view: &View,
) -> Result<Vec<FlowRule>, ClassifyError> {
    match module.compile(config, view) {
        Ok(answer) => Ok(view::rules(&answer)),
        Err(fault) => Err(ClassifyError::Fault {
            module: name.to_owned(),
            reason: reason(&fault),
            why: fault.to_string(),
        }),
    }
}

fn reason(fault: &ModuleFault) -> &'static str {
    match fault {
        ModuleFault::Trap(_) => "ModuleTrapped",
        ModuleFault::Deadline(_) => "ModuleDeadlineExceeded",
        ModuleFault::OutOfMemory { .. } => "ModuleOutOfMemory",
        ModuleFault::StateTooLarge { .. } => "ModuleStateTooLarge",
        ModuleFault::BadAnswer(_) => "ModuleAnswerInvalid",
        ModuleFault::Fault(_) => "ModuleFault",
        ModuleFault::Host(_) => "ModuleHostError",
        ModuleFault::Dead => "ModuleDead",
    }
}
