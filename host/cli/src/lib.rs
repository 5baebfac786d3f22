//! The `weft` binary: the long-running processes ([`args`] lists them), the lab, and the operator's
//! commands. Thin: every command is one module, and everything it needs lives in the crate it names.

#![forbid(unsafe_code)]

mod args;
mod command;
mod lab;
mod output;
pub mod probe;

pub use args::main;

pub(crate) use args::block_on;
