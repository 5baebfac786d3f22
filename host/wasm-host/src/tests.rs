//! Modules that misbehave, modules that behave, and the same functions native and sandboxed.

mod capability;
mod classifier;
mod differential;
mod fixtures;
mod packet_function;
mod service;
mod steering;
mod window;
