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

use std::io::{Read, Write};
use std::process::ExitCode;

use error::{CniError, Code};

fn main() -> ExitCode {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input);
    let outcome = match read {
        Ok(_) => verb::serve(&input),
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
