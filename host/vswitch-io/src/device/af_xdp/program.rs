//! The program on the interface, and the map through which it finds the sockets.
//!
//! It is five instructions, written out here: no compiler, no loader, no file.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::sys::{self, Attributes};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;

const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// Run in the stack of any interface, not in its driver.
const FLAG_SKB_MODE: u32 = 1 << 1;

/// Verdict where the map has no socket: on to Linux.
const XDP_PASS: u32 = 2;
/// Number of the helper `bpf_redirect_map`.
const REDIRECT_MAP: u32 = 51;
/// Where `struct xdp_md` has the queue number.
const RX_QUEUE_INDEX: u16 = 16;

/// Hands frames of queues to sockets as long as it lives.
#[derive(Debug)]
pub(super) struct Redirect {
    map: OwnedFd,
    /// Closing it takes the program off the interface.
    _link: OwnedFd,
}

/// One instruction: code, registers (source, destination), offset, immediate.
const fn instruction(code: u8, registers: u8, offset: u16, value: u32) -> [u8; 8] {
    let ([o0, o1], [v0, v1, v2, v3]) = (offset.to_ne_bytes(), value.to_ne_bytes());
    [code, registers, o0, o1, v0, v1, v2, v3]
}

/// `return redirect_map(map, queue, XDP_PASS)`.
fn program(map: BorrowedFd<'_>) -> [[u8; 8]; 6] {
    let map = map.as_raw_fd().cast_unsigned();
    [
        // r2 = *(u32 *)(r1 + 16)
        instruction(0x61, 0x12, RX_QUEUE_INDEX, 0),
        // r1 = map, in two halves; 1 in the source register says that the value is a map's descriptor.
        instruction(0x18, 0x11, 0, map),
        instruction(0, 0, 0, 0),
        // r3 = XDP_PASS
        instruction(0xb7, 0x03, 0, XDP_PASS),
        instruction(0x85, 0, 0, REDIRECT_MAP),
        instruction(0x95, 0, 0, 0),
    ]
}

impl Redirect {
    /// Puts the program on an interface: in its driver if that can, else in the stack.
    pub(super) fn attach(index: u32, queues: u32) -> io::Result<Self> {
        let create = Attributes::default()
            .with(0, MAP_TYPE_XSKMAP)
            .with(4, 4)
            .with(8, 4)
            .with(12, queues);
        let map = sys::bpf_open(MAP_CREATE, &create, &[])?;
        let program = program(map.as_fd()).concat();
        let load = Attributes::default().with(0, PROG_TYPE_XDP).with(4, 6);
        let buffers: [(usize, &[u8]); 2] = [(8, &program), (16, b"Apache-2.0\0")];
        let program = sys::bpf_open(PROG_LOAD, &load, &buffers)?;
        let on = |flags| {
            let program = program.as_raw_fd().cast_unsigned();
            let create = Attributes::default()
                .with(0, program)
                .with(4, index)
                .with(8, ATTACH_XDP)
                .with(12, flags);
            sys::bpf_open(LINK_CREATE, &create, &[])
        };
        let link = on(0).or_else(|error| {
            tracing::debug!(%error, index, "driver runs no program, the stack does");
            on(FLAG_SKB_MODE)
        })?;
        Ok(Self { map, _link: link })
    }

    /// Hands frames of a queue to a socket.
    pub(super) fn set(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let (key, value) = (queue.to_ne_bytes(), socket.as_raw_fd().to_ne_bytes());
        let update = Attributes::default().with(0, self.map.as_raw_fd().cast_unsigned());
        sys::bpf(MAP_UPDATE_ELEM, &update, &[(8, &key), (16, &value)]).map(drop)
    }
}
