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
mod verb;
mod version;

use std::io::Write;
use std::process::ExitCode;

/// Answers one call; the whole of the binary.
pub fn main() -> ExitCode {
    match verb::call(std::io::stdin()) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(answer)) => print(&answer.to_string(), ExitCode::SUCCESS),
        Err(error) => print(&error.to_string(), ExitCode::FAILURE),
    }
}

/// Nobody is left to tell when the runtime has closed our standard output.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let _closed = writeln!(std::io::stdout(), "{text}");
    code
}

/// Reads a network configuration as every verb does.
///
/// # Errors
/// The answer that the runtime would get, as JSON.
pub fn check_conf(input: &str) -> Result<(), String> {
    conf::Conf::parse(input)
        .and_then(|conf| conf.validate())
        .map_err(|error| error.to_json("1.1.0").to_string())
}
