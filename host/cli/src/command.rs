//! The commands that are one call into a crate, one module each.

pub(crate) mod ksr;
pub(crate) mod store;
