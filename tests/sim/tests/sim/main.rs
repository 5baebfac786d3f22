//! Generated runs; see the crate's page for how to explore further.

mod policy;
mod segments;
mod services;
mod spread;
mod worlds;
