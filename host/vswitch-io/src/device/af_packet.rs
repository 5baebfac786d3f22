//! Packet sockets: every frame of a Linux interface, with its checksum and segmentation work (`PACKET_VNET_HDR`).
//!
//! Batched `recvmmsg`/`sendmmsg` rather than a ring: TPACKET_V3 has no transmit side with virtio-net headers, and a
//! ring slot would have to be 64 KiB to hold the segmentation-offloaded frames that veth delivers.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::uio::writev;

use super::netlink::{LinkChange, LinkInfo, RouteSocket};
use super::sys;
pub use super::sys::{BURST_MAX, PARTS, Received, VlanTag};

const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const FANOUT_HASH: libc::c_int = 0;
/// Kernel receive buffer per queue: a few milliseconds of a fast link.
const RECEIVE_BUFFER_BYTES: libc::c_int = 8 << 20;
/// Kernel send buffer per queue: what the queueing discipline or the card may hold.
const SEND_BUFFER_BYTES: libc::c_int = 4 << 20;

/// Nobody has tried whether the kernel takes UDP super-datagrams.
const TRAINS_UNTRIED: u8 = 0;
/// It took one.
const TRAINS_TAKEN: u8 = 1;
/// It refused the first: kernels before 6.2 do not know them.
const TRAINS_REFUSED: u8 = 2;

/// What to attach to.
#[derive(Clone, Debug, Default)]
pub struct AfPacketConfig {
    /// Name of the Linux interface.
    pub host_if_name: String,
    /// Queues, at least 1; the kernel spreads flows over them.
    pub queues: u16,
    /// Sends past the queueing discipline of the interface.
    pub qdisc_bypass: bool,
    /// The interface has no link headers.
    pub ip_only: bool,
}

/// An attached Linux interface.
#[derive(Debug)]
pub struct AfPacket {
    queues: Vec<Arc<AfPacketQueue>>,
    host: LinkInfo,
}

/// One socket: both directions, usable from any thread.
#[derive(Debug)]
pub struct AfPacketQueue {
    fd: OwnedFd,
    trains: AtomicU8,
}

impl AfPacket {
    /// Attaches to the interface and sets it up.
    pub fn open(config: &AfPacketConfig) -> io::Result<Self> {
        let mut route = RouteSocket::open()?;
        let host = route.link(&config.host_if_name)?;
        route.change_link(
            host.index,
            LinkChange {
                up: true,
                ..LinkChange::default()
            },
        )?;
        let count = config.queues.max(1);
        let mut queues = Vec::new();
        for _ in 0..count {
            queues.push(Arc::new(AfPacketQueue::attach(
                config,
                host.index,
                count > 1,
            )?));
        }
        // Setting it up may have brought the carrier.
        let host = route.link(&config.host_if_name)?;
        Ok(Self { queues, host })
    }

    /// Returns the queues.
    pub fn queues(&self) -> &[Arc<AfPacketQueue>] {
        &self.queues
    }

    /// Returns what Linux says about the interface.
    pub fn host(&self) -> LinkInfo {
        self.host
    }
}

impl AfPacketQueue {
    fn attach(config: &AfPacketConfig, index: u32, fanout: bool) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Protocol 0: nothing is received before the options are set and the socket is bound.
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        let ifindex = libc::c_int::try_from(index).unwrap_or_default();
        sys::packet_set_option(fd.as_fd(), libc::PACKET_VNET_HDR, 1)?;
        sys::packet_set_option(fd.as_fd(), libc::PACKET_AUXDATA, 1)?;
        sys::packet_set_option(fd.as_fd(), PACKET_IGNORE_OUTGOING, 1)?;
        if config.qdisc_bypass {
            sys::packet_set_option(fd.as_fd(), libc::PACKET_QDISC_BYPASS, 1)?;
        }
        sys::set_receive_buffer(fd.as_fd(), RECEIVE_BUFFER_BYTES)?;
        sys::set_send_buffer(fd.as_fd(), SEND_BUFFER_BYTES)?;
        sys::packet_bind(fd.as_fd(), ifindex)?;
        sys::packet_promiscuous(fd.as_fd(), ifindex)?;
        if fanout {
            let group = (ifindex & 0xffff) | (FANOUT_HASH << 16);
            sys::packet_set_option(fd.as_fd(), libc::PACKET_FANOUT, group)?;
        }
        let trains = AtomicU8::new(TRAINS_UNTRIED);
        Ok(Self { fd, trains })
    }

    /// Whether to send UDP super-datagrams, as far as is known.
    pub fn takes_trains(&self) -> bool {
        self.trains.load(Ordering::Relaxed) != TRAINS_REFUSED
    }

    /// Sends one UDP super-datagram behind its virtio-net header; `false` when the kernel does not know them.
    pub fn send_train(&self, slices: &[IoSlice<'_>]) -> io::Result<bool> {
        match writev(&self.fd, slices) {
            Ok(_) => {
                self.trains.store(TRAINS_TAKEN, Ordering::Relaxed);
                Ok(true)
            }
            Err(Errno::EINVAL) if self.trains.load(Ordering::Relaxed) != TRAINS_TAKEN => {
                self.trains.store(TRAINS_REFUSED, Ordering::Relaxed);
                tracing::info!("the kernel takes no UDP super-datagrams: tunnel packets go alone");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Receives frames behind their virtio-net headers; lengths include the header.
    pub fn recv_burst(
        &self,
        messages: &mut [[IoSliceMut<'_>; PARTS]],
        out: &mut [Received; BURST_MAX],
    ) -> io::Result<usize> {
        sys::recv_burst(self.fd.as_fd(), messages, out)
    }

    /// Sends frames behind their virtio-net headers; returns how many left.
    pub fn send_burst(&self, messages: &[[IoSlice<'_>; PARTS]]) -> io::Result<usize> {
        sys::send_burst(self.fd.as_fd(), messages)
    }
}

impl AsFd for AfPacketQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
