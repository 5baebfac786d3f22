//! `weft-cni`: the CNI plugin. It reads what the runtime asks, asks the agent, and prints the answer
//! in the form of the asked version of the specification. It decides nothing and holds no state.

#![forbid(unsafe_code)]

mod add;
mod agent;
mod check;
mod conf;
mod del;
mod error;
mod gc;
mod request;
mod result;
mod status;
mod version;

use std::io::{Read, Write};
use std::process::ExitCode;

use conf::Conf;
use error::{CniError, Code};
use request::Request;
use version::{Gate, Version};

fn main() -> ExitCode {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input);
    let outcome = match read {
        Ok(_) => serve(&input),
        Err(problem) => {
            Err(CniError::new(Code::Io, "standard input is not readable").because(&problem))
        }
    };
    let (text, code) = match outcome {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(answer)) => (answer.to_string(), ExitCode::SUCCESS),
        Err(error) => (
            error.to_json(&version::of_input(&input)).to_string(),
            ExitCode::FAILURE,
        ),
    };
    // Nobody is left to tell when the runtime closed our standard output.
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

/// Serves one request; the answer is what goes to standard output.
fn serve(input: &str) -> Result<Option<serde_json::Value>, CniError> {
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
enum Verb {
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
