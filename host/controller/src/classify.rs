//! Asks classifier modules for rules and remembers their answers.

use std::collections::BTreeMap;

use model::{ChainSpec, FlowRule, ObjectName};
use weft_sdk::View;

use crate::facts::Facts;
use crate::modules::{ModuleError, Modules, Stamp};
use crate::view;

/// Rules that one chain may have.
pub const RULES_MAX: u32 = 1024;

/// Decides which flows enter a chain.
pub trait Classify {
    /// The whole rule set of `chain`, by ascending priority.
    ///
    /// # Errors
    /// [`ModuleError`]; rules in force stay.
    fn classify(
        &mut self,
        chain: &ObjectName,
        spec: &ChainSpec,
        facts: &Facts,
    ) -> Result<Vec<FlowRule>, ModuleError>;
}

/// The last answer about each chain.
pub(crate) type Answers = BTreeMap<ObjectName, Answer>;

/// What a module said, and to which question.
pub(crate) struct Answer {
    stamp: Stamp,
    module: String,
    config: String,
    view: View,
    rules: Result<Vec<FlowRule>, ModuleError>,
}

impl Classify for Modules {
    fn classify(
        &mut self,
        chain: &ObjectName,
        spec: &ChainSpec,
        facts: &Facts,
    ) -> Result<Vec<FlowRule>, ModuleError> {
        let view = view::view(chain, spec, facts, RULES_MAX);
        let config = spec.classifier.config.to_string();
        let name = spec.classifier.module.as_str();
        let (stamp, module) = self.classifier(name);
        if let Some(answer) = self.rules.get(chain)
            && answer.stamp == stamp
            && answer.module == name
            && answer.config == config
            && answer.view == view
        {
            return answer.rules.clone();
        }
        let rules = module.and_then(|module| {
            let answer = module.compile(&config, &view);
            answer
                .map(|answer| view::rules(&answer))
                .map_err(|fault| ModuleError::fault(name, &fault))
        });
        let answer = Answer {
            stamp,
            module: name.to_owned(),
            config,
            view,
            rules: rules.clone(),
        };
        self.rules.insert(chain.clone(), answer);
        rules
    }
}
