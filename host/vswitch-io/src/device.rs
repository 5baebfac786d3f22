//! Devices: where frames enter and leave this process.
//!
//! An interface is an [`inlet::Inlet`] per receive queue, each owned by one worker, and one [`port::Port`] shared by
//! all. Their kernel side is in the module of the device kind.

pub mod af_packet;
pub mod af_xdp;
pub mod inlet;
pub mod link_monitor;
pub mod netlink;
pub mod netns;
pub mod packets;
pub mod pool;
pub mod port;
mod sys;
pub mod tap;
pub mod vnet;
