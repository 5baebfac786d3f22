//! STATUS: ready for ADD or not.

use agent_api::agent::StatusRequest;

use crate::agent;
use crate::conf::Conf;
use crate::error::{CniError, Code};

pub(crate) async fn status(conf: &Conf) -> Result<(), CniError> {
    let asked = async {
        let mut agent = agent::connect(conf).await?;
        agent.status(StatusRequest {}).await?;
        Ok(())
    };
    // The specification has its own code for "no ADD can be served now".
    asked.await.map_err(|mut error: CniError| {
        error.code = Code::NotAvailable;
        error
    })
}
