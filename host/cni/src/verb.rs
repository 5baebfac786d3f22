//! Which verb is asked for, and since which version it exists.

use std::io::Read;

use serde_json::Value;

use crate::conf::Conf;
use crate::error::{CniError, Code};
use crate::request::{self, Request};
use crate::version::{self, Gate, Version};
use crate::{add, agent, check, del, gc, status};

/// Answers one call: what to print, as a result or as the specification's error object.
pub(crate) fn call(mut input: impl Read) -> Result<Option<Value>, Value> {
    let mut text = String::new();
    let served = match input.read_to_string(&mut text) {
        Ok(_) => serve(&text),
        Err(problem) => {
            Err(CniError::new(Code::Io, "standard input is not readable").because(&problem))
        }
    };
    served.map_err(|error| error.to_json(&version::of_input(&text)))
}

/// Serves one request; the answer is what goes to standard output.
fn serve(input: &str) -> Result<Option<Value>, CniError> {
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
    ) -> Result<Option<Value>, CniError> {
        match self {
            Self::Add => add::add(conf, version, request).await.map(Some),
            Self::Del => del::del(conf, request).await.map(|()| None),
            Self::Check => check::check(conf, request).await.map(|()| None),
            Self::Gc => gc::gc(conf).await.map(|()| None),
            Self::Status => status::status(conf).await.map(|()| None),
        }
    }
}
