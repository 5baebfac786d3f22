//! Which verb is asked for, and since which version it exists.

use crate::conf::Conf;
use crate::error::{CniError, Code};
use crate::request::{self, Request};
use crate::version::{self, Gate, Version};
use crate::{add, agent, check, del, gc, status};

/// Serves one request; the answer is what goes to standard output.
pub(crate) fn serve(input: &str) -> Result<Option<serde_json::Value>, CniError> {
    let command = request::command()?;
    if command == "VERSION" {
        return Ok(Some(version::answer(input)));
    }
    let verb = Verb::parse(&command)?;
    let conf = Conf::parse(input)?;
    let version = Version::parse(&conf.cni_version)?;
    version.require(verb.gate())?;
    conf.validate()?;
    let request = Request::from_env(verb)?;
    let served = agent::within(&conf, verb.run(&conf, version, &request));
    conf.log(&command, &request, &served);
    served
}

/// What the runtime asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Del,
    Check,
    Gc,
    Status,
}

impl Verb {
    fn parse(command: &str) -> Result<Self, CniError> {
        match command {
            "ADD" => Ok(Self::Add),
            "DEL" => Ok(Self::Del),
            "CHECK" => Ok(Self::Check),
            "GC" => Ok(Self::Gc),
            "STATUS" => Ok(Self::Status),
            other => Err(CniError::new(
                Code::InvalidEnvironment,
                &format!("CNI_COMMAND `{other}` is unknown"),
            )),
        }
    }

    const fn gate(self) -> Gate {
        match self {
            Self::Add | Self::Del => Gate::Always,
            Self::Check => Gate::Check,
            Self::Gc | Self::Status => Gate::GcAndStatus,
        }
    }

    async fn run(
        self,
        conf: &Conf,
        version: Version,
        request: &Request,
    ) -> Result<Option<serde_json::Value>, CniError> {
        match self {
            Self::Add => add::add(conf, version, request).await.map(Some),
            Self::Del => del::del(conf, request).await.map(|()| None),
            Self::Check => check::check(conf, request).await.map(|()| None),
            Self::Gc => gc::gc(conf).await.map(|()| None),
            Self::Status => status::status(conf).await.map(|()| None),
        }
    }
}
