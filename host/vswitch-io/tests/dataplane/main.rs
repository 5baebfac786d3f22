//! Real packets through the real binary, in network namespaces of their own. Needs root, `ip` and `ping`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod devices;
#[cfg(feature = "functions")]
mod function;
mod interop;
mod lab;
mod links;
mod memif;
mod observe;
mod pods;
mod policy;
mod restart;
mod service;
mod srv6;
mod switch;
mod traffic;
mod trains;
mod underlay;
