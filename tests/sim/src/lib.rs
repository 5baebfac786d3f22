//! The dataplane against a reference model, on generated configurations and packets.
//!
//! [`model::Model`] says what each packet must become: naive lists and linear searches, nothing shared with the
//! engine's tables, graph, codecs or checksums. [`switch::Switch`] is the engine. Both are told the same
//! [`step::Step`]s; [`check::run`] compares, packet by packet, every frame that leaves (interface and bytes), every
//! drop (by reason) and the interface counters, and at the end that deleting everything leaves nothing. What the model
//! does not know: packets that are cut for a tunnel, a BVI or an interface with an access list.
//!
//! Policies, services and segment routing have models and worlds of their own: [`policy`], [`services`] and [`segments`].
//!
//! Runs are deterministic. `WEFT_SIM_SEED=<number>` explores another seed and `WEFT_SIM_CASES=<number>` more cases; a
//! failure prints its seed and the shortest sequence of steps that still fails.
#![forbid(unsafe_code)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "changes are handled by subject; what falls through panics"
)]

pub mod check;
pub mod generate;
pub mod model;
pub mod policy;
pub mod segments;
pub mod services;
pub mod step;
pub mod switch;
pub mod wire;
pub mod world;
