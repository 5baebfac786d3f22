//! The virtio-net header in front of every tap and packet-socket frame, and the graph's form of it.

use packet::virtio::{HEADER_LEN, HEADER_LEN_SHORT, Header};
use vswitch::Offload;

/// Bytes of the header that a tap device puts in front of a frame.
pub const TAP_HEADER_LEN: usize = HEADER_LEN;
/// Bytes of the header that a packet socket puts in front of a frame.
pub const PACKET_HEADER_LEN: usize = HEADER_LEN_SHORT;

/// Reads what the kernel left to do; `None` for a kind of segmentation that was never asked for.
pub fn read(header: &[u8]) -> Option<Offload> {
    Offload::from_virtio(&Header::parse(header).ok()?)
}

/// Writes what is left to the kernel. What it cannot express never gets here: it needs software.
pub fn write(offload: &Offload) -> [u8; TAP_HEADER_LEN] {
    let mut bytes = [0; TAP_HEADER_LEN];
    offload.to_virtio().unwrap_or_default().emit(&mut bytes);
    bytes
}
