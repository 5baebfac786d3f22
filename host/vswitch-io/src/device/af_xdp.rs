//! Express data path sockets: frames of a Linux interface through rings shared with the kernel, past its network stack.
//!
//! A small program on the interface hands every frame of a queue to the socket of that queue; frames of queues without a
//! socket go to Linux as before. Each queue has its own memory: chunks for what is received and chunks for what is sent.
//! The kernel leaves no checksums or segmentation to this side and takes none from it: a veth peer must not offload.

mod program;
mod sys;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netlink::{LinkChange, LinkInfo, RouteSocket};
use super::netns;
use program::Redirect;
use sys::{Descriptor, Memory, Offsets, Ring};

/// Bytes of a chunk, a page; the kernel keeps some in front of a frame, and a link header comes on top of the MTU.
const CHUNK_BYTES: u32 = 4096;
/// Biggest L3 packet that fits, as the kernel reckons it.
pub const MTU_MAX: u16 = 3498;
/// Descriptors of a ring, unless asked for otherwise.
const RING_SIZE: u32 = 1024;
/// Most descriptors of a ring.
pub const RING_SIZE_MAX: u32 = 8192;
/// Frames the kernel sends per call, at least.
const KICK_FRAMES: u32 = 16;

/// Whether frames are copied between kernel and rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyMode {
    /// Without copies where the driver can.
    #[default]
    Auto,
    /// Always.
    Copy,
    /// Never.
    ZeroCopy,
}

/// What to attach to.
#[derive(Clone, Debug, Default)]
pub struct AfXdpConfig {
    /// Name of the Linux interface.
    pub host_if_name: String,
    /// Its network namespace, as text of VPP's API; empty = that of this process.
    pub netns: String,
    /// Queues, from 0 on; at least 1.
    pub queues: u16,
    /// Descriptors of receive and transmit rings, powers of two; 0 = chosen.
    pub rx_size: u32,
    /// The same for transmit rings.
    pub tx_size: u32,
    /// Whether frames are copied.
    pub mode: CopyMode,
}

/// An attached Linux interface. Dropped, it belongs to Linux again.
#[derive(Debug)]
pub struct AfXdp {
    host: LinkInfo,
    _redirect: Redirect,
    /// Keeps the interface in promiscuous mode.
    _promiscuous: OwnedFd,
}

/// The receive side of a queue.
#[derive(Debug)]
pub struct XdpRx {
    queue: Arc<Queue>,
    fill: Ring<u64>,
    rx: Ring<Descriptor>,
}

/// The transmit side of a queue.
#[derive(Debug)]
pub struct XdpTx {
    queue: Arc<Queue>,
    tx: Ring<Descriptor>,
    completion: Ring<u64>,
    /// Chunks that hold nothing.
    free: Vec<u64>,
    /// Frames since the last call of the kernel.
    written: u32,
}

#[derive(Debug)]
struct Queue {
    memory: Memory,
    socket: OwnedFd,
}

impl AfXdp {
    /// Attaches to an interface; gives both sides of each queue.
    pub fn open(config: &AfXdpConfig) -> io::Result<(Self, Vec<(XdpRx, XdpTx)>)> {
        netns::run_in(&config.netns, || Self::open_here(config))
    }

    fn open_here(config: &AfXdpConfig) -> io::Result<(Self, Vec<(XdpRx, XdpTx)>)> {
        let mut route = RouteSocket::open()?;
        let host = route.link(&config.host_if_name)?;
        let up = LinkChange {
            up: true,
            ..LinkChange::default()
        };
        route.change_link(host.index, up)?;
        let count = u32::from(config.queues.max(1));
        let redirect = Redirect::attach(host.index, count)?;
        let mut queues = Vec::new();
        for number in 0..count {
            let queue = open_queue(config, host.index, number)?;
            redirect.set(number, queue.0.queue.socket.as_fd())?;
            queues.push(queue);
        }
        let flags = SockFlag::SOCK_CLOEXEC;
        let promiscuous = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        let index = libc::c_int::try_from(host.index).unwrap_or_default();
        super::sys::packet_promiscuous(promiscuous.as_fd(), index)?;
        // Setting it up, and the program, may have changed the carrier.
        let host = route.link(&config.host_if_name)?;
        let device = Self {
            host,
            _redirect: redirect,
            _promiscuous: promiscuous,
        };
        Ok((device, queues))
    }

    /// Returns what Linux says about the interface.
    pub fn host(&self) -> LinkInfo {
        self.host
    }
}

fn open_queue(config: &AfXdpConfig, index: u32, number: u32) -> io::Result<(XdpRx, XdpTx)> {
    let size = |asked: u32| if asked == 0 { RING_SIZE } else { asked };
    let (rx_size, tx_size) = (size(config.rx_size), size(config.tx_size));
    let memory = Memory::new((rx_size + tx_size) as usize * CHUNK_BYTES as usize)?;
    let socket = sys::open_socket()?;
    let fd = socket.as_fd();
    sys::register_memory(fd, &memory, CHUNK_BYTES)?;
    sys::set_ring_size(fd, libc::XDP_UMEM_FILL_RING, rx_size)?;
    sys::set_ring_size(fd, libc::XDP_UMEM_COMPLETION_RING, tx_size)?;
    sys::set_ring_size(fd, libc::XDP_RX_RING, rx_size)?;
    sys::set_ring_size(fd, libc::XDP_TX_RING, tx_size)?;
    let offsets = Offsets::read(fd)?;
    let mut fill = Ring::map(fd, &offsets.fill, rx_size, sys::PAGE_FILL)?;
    let completion = Ring::map(fd, &offsets.completion, tx_size, sys::PAGE_COMPLETION)?;
    let rx = Ring::map(fd, &offsets.rx, rx_size, sys::PAGE_RX)?;
    let tx = Ring::map(fd, &offsets.tx, tx_size, sys::PAGE_TX)?;
    let chunk = |number: u32| u64::from(number) * u64::from(CHUNK_BYTES);
    for number in 0..rx_size {
        fill.push(chunk(number));
    }
    fill.publish();
    bind(fd, config, index, number)?;
    let queue = Arc::new(Queue { memory, socket });
    let receive = XdpRx {
        queue: Arc::clone(&queue),
        fill,
        rx,
    };
    let transmit = XdpTx {
        queue,
        tx,
        completion,
        free: (rx_size..rx_size + tx_size).map(chunk).collect(),
        written: 0,
    };
    Ok((receive, transmit))
}

/// Binds a socket to its queue. Left to choose, it asks for zero copy first, so that why there is none is known.
fn bind(fd: BorrowedFd<'_>, config: &AfXdpConfig, index: u32, number: u32) -> io::Result<()> {
    let with = |copy| sys::bind(fd, index, number, copy | libc::XDP_USE_NEED_WAKEUP);
    match config.mode {
        CopyMode::Copy => with(libc::XDP_COPY),
        CopyMode::ZeroCopy => with(libc::XDP_ZEROCOPY),
        CopyMode::Auto => with(libc::XDP_ZEROCOPY).or_else(|error| {
            let (host_if_name, queue) = (&config.host_if_name, number);
            tracing::info!(%host_if_name, queue, %error, "no zero copy, frames are copied");
            with(libc::XDP_COPY)
        }),
    }
}

impl XdpRx {
    /// Gives each waiting frame, at most `max`, to `take`, as its length and a means to copy bytes out of it.
    pub fn receive(&mut self, max: usize, mut take: impl FnMut(usize, &dyn Fn(usize, &mut [u8]))) {
        for _ in 0..max {
            let Some(Descriptor {
                address, length, ..
            }) = self.rx.pop()
            else {
                break;
            };
            let start = usize::try_from(address).unwrap_or(usize::MAX);
            let copy = |from: usize, to: &mut [u8]| {
                self.queue.memory.read(start.saturating_add(from), to);
            };
            take(length as usize, &copy);
            self.fill.push(address - address % u64::from(CHUNK_BYTES));
        }
        self.rx.release();
        self.fill.publish();
        if self.fill.needs_wakeup() {
            sys::wake_receive(self.queue.socket.as_fd());
        }
    }
}

impl AsFd for XdpRx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.socket.as_fd()
    }
}

impl XdpTx {
    /// Puts a frame into the ring; `false` when there is no room, or the frame is too long.
    pub fn push(&mut self, parts: &[&[u8]]) -> bool {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > CHUNK_BYTES as usize {
            return false;
        }
        if self.free.is_empty() {
            self.commit();
            self.reclaim();
        }
        let Some(chunk) = self.free.pop() else {
            return false;
        };
        let mut at = usize::try_from(chunk).unwrap_or(usize::MAX);
        for part in parts {
            self.queue.memory.write(at, part);
            at += part.len();
        }
        self.tx.push(Descriptor {
            address: chunk,
            length: u32::try_from(length).unwrap_or(0),
            options: 0,
        });
        self.written += 1;
        true
    }

    /// Lets the kernel send what was put into the ring.
    pub fn commit(&mut self) {
        self.tx.publish();
        for _ in 0..self.written.div_ceil(KICK_FRAMES) {
            if !self.tx.needs_wakeup() || !sys::wake_transmit(self.queue.socket.as_fd()) {
                break;
            }
        }
        self.written = 0;
        self.reclaim();
    }

    fn reclaim(&mut self) {
        while let Some(chunk) = self.completion.pop() {
            self.free.push(chunk - chunk % u64::from(CHUNK_BYTES));
        }
        self.completion.release();
    }
}
