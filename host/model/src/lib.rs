//! The nouns of Weft: what the processes say to each other through the store.
//!
//! Pure values with their JSON form. Every stored record is written by exactly one kind of process
//! (see [`key`]); readers accept unknown fields so that an older reader survives a newer writer.
//! Nothing here decides anything: planning is in `controller`, rendering in `render`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod annotation;
pub mod chain;
pub mod cluster;
pub mod flow;
pub mod key;
pub mod mac;
pub mod name;
pub mod node;
pub mod pod;
pub mod record;
pub mod rendered;
pub mod selector;

pub use chain::{ChainSpec, ClassifierSpec, HopSpec, OnFailure, ReturnPath, SteeringSpec};
pub use cluster::ClusterConfig;
pub use flow::{FlowAction, FlowMatch, FlowProtocol, FlowRule, PortRange};
pub use key::Key;
pub use mac::MacAddr;
pub use name::{NodeId, NodeName, ObjectName};
pub use node::NodeRecord;
pub use pod::{
    AttachedInterface, Attachment, InterfaceKind, InterfaceRequest, NetworkRef, PodRecord,
};
pub use rendered::{
    AppliedChain, ChainEnd, ChainStatus, HopState, RenderedChain, RenderedHop, Segment,
};
pub use selector::Selector;
