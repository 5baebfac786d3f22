//! CHECK.

use agent_api::agent::CheckRequest;

use crate::agent;
use crate::conf::Conf;
use crate::error::CniError;
use crate::request::Request;

pub(crate) async fn check(conf: &Conf, request: &Request) -> Result<(), CniError> {
    let previous = conf.prev_result()?;
    let asked = CheckRequest {
        id: Some(request.attachment()),
        netns: request.netns.clone(),
        addresses: previous.ips.iter().map(|ip| ip.address.clone()).collect(),
    };
    agent::connect(conf).await?.check(asked).await?;
    Ok(())
}
