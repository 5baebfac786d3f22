//! Generated runs; see the crate's page for how to explore further.

mod spread;
mod worlds;
