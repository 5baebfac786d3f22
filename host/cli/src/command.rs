//! The commands that are one call into a crate, or one question to a process; one module each.

pub(crate) mod agent;
pub(crate) mod build;
pub(crate) mod cnf;
pub(crate) mod controller;
pub(crate) mod ksr;
pub(crate) mod node;
pub(crate) mod store;
