//! Persistent collections: a clone costs one `Arc`, a change costs a short path, whatever the size.
//!
//! A writer mutates its own copy through `Arc::make_mut`: nodes shared with a published snapshot are
//! copied, others are changed in place.

mod map;
mod vec;

pub use map::PMap;
pub use vec::PVec;

#[cfg(test)]
mod tests;
