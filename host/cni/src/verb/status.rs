//! STATUS: can ADD be served?

use agent_api::agent::StatusRequest;

use crate::config::Config;
use crate::error::CniError;
use crate::version::Version;

pub(super) fn run(input: &[u8]) -> Result<(), CniError> {
    let (config, version) = Config::parse(input)?;
    version.require(Version::V1_1_0, "STATUS")?;
    let asked = super::ask(&config, "STATUS", async |mut agent| {
        agent.status(StatusRequest {}).await
    });
    match asked {
        Ok(_) => Ok(()),
        // The specification has a code of its own for "cannot serve ADD".
        Err(error) => Err(CniError::Unavailable(error.to_string())),
    }
}
