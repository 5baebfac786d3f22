//! DEL.

use agent_api::agent::DelRequest;

use crate::agent;
use crate::conf::Conf;
use crate::error::CniError;
use crate::request::Request;

pub(crate) async fn del(conf: &Conf, request: &Request) -> Result<(), CniError> {
    let asked = DelRequest {
        id: Some(request.attachment()),
        netns: request.netns.clone(),
    };
    agent::connect(conf).await?.del(asked).await?;
    Ok(())
}
