//! The scenario of a chain (`demo.yaml`): traffic, failures and swaps, each with what must be seen.

mod play;
mod report;
mod traffic;

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::probe::Proto;

pub(crate) use play::play;
pub(crate) use report::Report;

/// One scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scenario {
    #[serde(default = "default_namespace")]
    pub(crate) namespace: String,
    pub(crate) chain: String,
    /// Pod that sends.
    pub(crate) client: String,
    /// Pod that runs `weft probe serve --report /run/weft/probe.json`.
    pub(crate) server: String,
    pub(crate) nodes: Option<u16>,
    pub(crate) steps: Vec<Step>,
}

/// One step; its first field names it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    Flow(Flow),
    Fail(Fail),
    Swap(Swap),
}

/// Traffic, and the hops that it passes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Flow {
    #[serde(rename = "flow")]
    pub(crate) title: String,
    pub(crate) traffic: Traffic,
    pub(crate) answered: Answered,
    /// Hops that see it.
    #[serde(default)]
    pub(crate) through: Vec<String>,
    /// Hops that must not see a single packet.
    #[serde(default)]
    pub(crate) beside: Vec<String>,
}

/// A hop is killed; traffic meanwhile, and again when it is back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fail {
    #[serde(rename = "fail")]
    pub(crate) title: String,
    pub(crate) hop: String,
    pub(crate) traffic: Traffic,
    /// While the hop is down.
    pub(crate) answered: Answered,
}

/// A hop's module is replaced in the middle of traffic; nothing may be lost.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Swap {
    #[serde(rename = "swap")]
    pub(crate) title: String,
    pub(crate) hop: String,
    /// As the CNF's pod sees it. A new build of it is what comes in.
    pub(crate) module: String,
    pub(crate) config: String,
    pub(crate) traffic: Traffic,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Traffic {
    pub(crate) proto: Proto,
    pub(crate) port: u16,
    pub(crate) rate: u32,
    pub(crate) count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answered {
    All,
    None,
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Scenario {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read scenario `{}`", path.display()))?;
        serde_saphyr::from_str(&text)
            .map_err(|e| anyhow::anyhow!("{}: {}", path.display(), e.without_snippet()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_its_first_field() {
        let text = "chain: web\nclient: a\nserver: b\nsteps:\n- {flow: f, traffic: {proto: udp, port: 1, rate: 1, count: 1}, answered: none, beside: [x]}\n- {fail: k, hop: x, traffic: {proto: http, port: 1, rate: 1, count: 1}, answered: all}\n";
        let scenario: Scenario = serde_saphyr::from_str(text).unwrap();
        assert!(matches!(&scenario.steps[0], Step::Flow(f) if f.beside == ["x"]));
        assert!(matches!(&scenario.steps[1], Step::Fail(f) if f.answered == Answered::All));
        assert_eq!(scenario.namespace, "default");
    }
}
