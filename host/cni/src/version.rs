//! Versions of the specification, and the VERSION verb.

use serde_json::{Value, json};

use crate::error::{CniError, Code};

/// A version that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

/// What a verb asks of the version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Always,
    Check,
    GcAndStatus,
}

impl Version {
    pub(crate) const ALL: [Self; 5] = [
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, CniError> {
        let found = Self::ALL.into_iter().find(|v| v.text() == text);
        let msg = format!("cniVersion `{text}` is not supported; hint: use 1.1.0");
        found.ok_or_else(|| CniError::new(Code::IncompatibleVersion, &msg))
    }

    pub(crate) fn require(self, gate: Gate) -> Result<(), CniError> {
        let least = match gate {
            Gate::Always => Self::V0_3_0,
            Gate::Check => Self::V0_4_0,
            Gate::GcAndStatus => Self::V1_1_0,
        };
        if self >= least {
            return Ok(());
        }
        let (this, least) = (self.text(), least.text());
        let msg = format!("cniVersion `{this}` does not have this command; it came with {least}");
        Err(CniError::new(Code::IncompatibleVersion, &msg))
    }
}

/// The answer to VERSION, in the version asked for where we speak it.
pub(crate) fn answer(input: &str) -> Value {
    let supported: Vec<&str> = Version::ALL.into_iter().map(Version::text).collect();
    json!({ "cniVersion": of_input(input), "supportedVersions": supported })
}

/// The version to answer in, whatever else is wrong with the input.
pub(crate) fn of_input(input: &str) -> String {
    let conf: Value = serde_json::from_str(input).unwrap_or_default();
    let asked = conf.get("cniVersion").and_then(Value::as_str);
    let asked = asked.and_then(|text| Version::parse(text).ok());
    asked.unwrap_or(Version::V1_1_0).text().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_refused_in_versions_that_do_not_have_it() {
        for (version, gate, allowed) in [
            (Version::V0_3_0, Gate::Always, true),
            (Version::V0_3_1, Gate::Check, false),
            (Version::V0_4_0, Gate::Check, true),
            (Version::V1_0_0, Gate::GcAndStatus, false),
            (Version::V1_1_0, Gate::GcAndStatus, true),
        ] {
            assert_eq!(version.require(gate).is_ok(), allowed, "{version:?}");
        }
    }

    #[test]
    fn version_answers_in_the_asked_version_if_it_can() {
        assert_eq!(answer(r#"{"cniVersion":"1.0.0"}"#)["cniVersion"], "1.0.0");
        assert_eq!(answer(r#"{"cniVersion":"9.0.0"}"#)["cniVersion"], "1.1.0");
        assert_eq!(answer("nonsense")["cniVersion"], "1.1.0");
    }
}
