//! Builds a crate into a Weft module, however this machine can reach wasm32.
//!
//! [`build`] finds a Rust toolchain for `wasm32-unknown-unknown`, compiles the crate's library as a core module,
//! wraps it into a component and refuses one that asks for anything but Weft's own capabilities. It prints
//! nothing: progress goes to a callback. It works from inside `cargo run` and on any package of a workspace,
//! whose own build products it leaves alone.

mod build;
mod component;
mod error;
mod toolchain;

pub use crate::build::{Artifact, BuildRequest, Profile, Step, build};
pub use crate::component::{Inspection, World, inspect};
pub use crate::error::BuildError;
pub use crate::toolchain::{INSTALL_HINT, Toolchain, find_toolchain};
