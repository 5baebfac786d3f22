//! `cargo xtask <chore>`: everything that a newcomer, a developer or CI runs, in one place.

mod build;
mod command;
mod setup;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command::run(&arguments) {
        Ok(code) => code,
        Err(problem) => {
            command::tell(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}
