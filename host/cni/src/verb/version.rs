//! VERSION: answered without the agent, whatever else the environment says.

use serde_json::{Value, json};

use crate::error::CniError;
use crate::version::Version;

pub(super) fn run(input: &[u8]) -> Result<Value, CniError> {
    let asked: Value = serde_json::from_slice(input).map_err(CniError::Json)?;
    let version = asked
        .get("cniVersion")
        .and_then(Value::as_str)
        .unwrap_or("1.1.0");
    Ok(json!({
        "cniVersion": version,
        "supportedVersions": Version::ALL.map(Version::as_str),
    }))
}
