//! A link that is up: its queues, made from memory that both sides share.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{
    arena::ArenaRegion,
    config::{ClientConfig, Memory},
    error::{DisconnectReason, ProtocolError, RegionError},
    handshake::{Layout, Negotiated, RegionSpec, RingSpec},
    limits::Limits,
    queue::{BufferRow, Doorbell, Port, RxQueue, TxQueue, ZeroCopyRx, ZeroCopyTx},
    region::{self, Regions},
    ring::RingSize,
    sys::{Mapping, RingMemory},
};

/// What happened on a control channel.
#[derive(Debug)]
pub enum Event {
    /// The link is up.
    Connected {
        /// The interface.
        id: u32,
        /// Its queues.
        link: Link,
    },
    /// A link that was up is down. Its queues stay safe to use but lead nowhere.
    Disconnected {
        /// The interface.
        id: u32,
        /// Why.
        reason: DisconnectReason,
    },
    /// A connection ended before it became a link.
    Refused {
        /// The interface, if the connection got as far as to name one.
        id: Option<u32>,
        /// Why.
        reason: DisconnectReason,
    },
}

/// The other side of a link, in its own words made printable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Name of the program.
    pub app: String,
    /// Name of the interface.
    pub interface: String,
}

/// A link that is up.
#[derive(Debug)]
pub struct Link {
    /// The other side.
    pub peer: Peer,
    /// Entries of the largest ring, as a power of two.
    pub log2_ring_size: u8,
    /// The queues; send each to the thread that works it.
    pub queues: Queues,
}

/// The queues of a link by index.
#[derive(Debug)]
pub enum Queues {
    /// Packets are copied: each server, and clients with [`Memory::Copy`].
    Copy {
        /// From the peer.
        rx: Vec<RxQueue>,
        /// To the peer.
        tx: Vec<TxQueue>,
    },
    /// Buffers change hands: clients with [`Memory::Arenas`].
    ZeroCopy {
        /// From the peer.
        rx: Vec<ZeroCopyRx>,
        /// To the peer.
        tx: Vec<ZeroCopyTx>,
    },
}

impl Link {
    /// The queues of a copying link.
    #[must_use]
    pub fn into_copy(self) -> Option<(Vec<RxQueue>, Vec<TxQueue>)> {
        match self.queues {
            Queues::Copy { rx, tx } => Some((rx, tx)),
            Queues::ZeroCopy { .. } => None,
        }
    }

    /// The queues of a zero-copy link.
    #[must_use]
    pub fn into_zero_copy(self) -> Option<(Vec<ZeroCopyRx>, Vec<ZeroCopyTx>)> {
        match self.queues {
            Queues::ZeroCopy { rx, tx } => Some((rx, tx)),
            Queues::Copy { .. } => None,
        }
    }
}

/// The server's view of a client's memory: everything is checked here, nothing was before.
pub(crate) fn open(
    layout: Layout<OwnedFd>,
    limits: &Limits,
    peer: Peer,
    up: &Arc<AtomicBool>,
) -> Result<Link, DisconnectReason> {
    let mut mappings = Vec::with_capacity(layout.regions.len());
    for (index, spec) in (0..).zip(&layout.regions) {
        mappings.push(Arc::new(region::open(spec, index, limits.seals)?));
    }
    let regions = Regions::new(mappings);
    let port = |ring: RingSpec<OwnedFd>| -> Result<Port, DisconnectReason> {
        let memory = ring_memory(&regions, &ring)?;
        if !memory.has_cookie() {
            return Err(RegionError::Cookie(ring.region).into());
        }
        let bell = Doorbell::of_peer(ring.interrupt).ok_or(ProtocolError::NotEventFd)?;
        Ok(Port::new(memory, regions.clone(), bell, Arc::clone(up)))
    };
    let mut rx = Vec::new();
    let mut log2_ring_size = 0;
    for ring in layout.to_server {
        log2_ring_size = log2_ring_size.max(ring.log2_ring_size);
        rx.push(RxQueue::server(port(ring)?));
    }
    let mut tx = Vec::new();
    for ring in layout.to_client {
        log2_ring_size = log2_ring_size.max(ring.log2_ring_size);
        tx.push(TxQueue::server(port(ring)?));
    }
    Ok(Link {
        peer,
        log2_ring_size,
        queues: Queues::Copy { rx, tx },
    })
}

fn ring_memory(
    regions: &Regions,
    ring: &RingSpec<OwnedFd>,
) -> Result<RingMemory, DisconnectReason> {
    let size =
        RingSize::new(ring.log2_ring_size).ok_or(ProtocolError::RingSize(ring.log2_ring_size))?;
    let mapping = regions
        .mapping(ring.region)
        .ok_or(ProtocolError::RingRegion(ring.region))?;
    RingMemory::new(mapping, ring.offset as usize, size)
        .map_err(|_| RegionError::RingOutside(ring.region).into())
}

/// The client's memory between its declaration and the server's consent.
#[derive(Debug)]
pub(crate) struct Offer {
    regions: Regions,
    to_server: Vec<(RingMemory, OwnedFd)>,
    to_client: Vec<(RingMemory, OwnedFd)>,
    size: RingSize,
    buffers: OfferedBuffers,
}

#[derive(Debug)]
enum OfferedBuffers {
    Copy { start: u32, buffer_size: u32 },
    Arenas(Vec<Arc<ArenaRegion>>),
}

impl Offer {
    /// Makes the rings, and the buffers if they are not the caller's, and declares them.
    pub(crate) fn new(
        negotiated: &Negotiated,
        config: &ClientConfig,
    ) -> Result<(Self, Layout<OwnedFd>), DisconnectReason> {
        let size = RingSize::new(negotiated.log2_ring_size).ok_or(RegionError::Layout)?;
        let rings = usize::from(negotiated.to_server) + usize::from(negotiated.to_client);
        // Rings start on a cache line each, buffers on a page.
        let ring_bytes = RingMemory::bytes(size).next_multiple_of(64);
        let start = (rings * ring_bytes).next_multiple_of(4096);
        let (buffers, len) = match &config.memory {
            Memory::Copy { buffer_size } => {
                let (start, len) = copy_layout(start, rings, size, *buffer_size)?;
                (
                    OfferedBuffers::Copy {
                        start,
                        buffer_size: *buffer_size,
                    },
                    len,
                )
            }
            Memory::Arenas(arenas) => {
                let queues = usize::from(negotiated.to_server.max(negotiated.to_client));
                let enough = arenas.len() >= queues;
                if !enough || negotiated.regions_max as usize <= arenas.len() {
                    return Err(RegionError::Layout.into());
                }
                (OfferedBuffers::Arenas(arenas.clone()), start)
            }
        };
        let (fd, mapping) = region::create("memif-rings", len, 0)?;
        let mapping = Arc::new(mapping);
        let mut layout = Layout::default();
        layout.regions.push(RegionSpec {
            size: len as u64,
            fd,
        });
        let mut mappings = vec![Arc::clone(&mapping)];
        if let OfferedBuffers::Arenas(arenas) = &buffers {
            for arena in arenas {
                layout.regions.push(RegionSpec {
                    size: arena.len() as u64,
                    fd: arena.dup()?,
                });
                mappings.push(Arc::clone(arena.mapping()));
            }
        }
        let mut made = [Vec::new(), Vec::new()];
        let mut offset = 0;
        let sides = [
            (&mut layout.to_server, negotiated.to_server),
            (&mut layout.to_client, negotiated.to_client),
        ];
        for (made, (specs, count)) in made.iter_mut().zip(sides) {
            for _ in 0..count {
                let (ring, bell, spec) = make_ring(&mapping, offset, size)?;
                made.push((ring, bell));
                specs.push(spec);
                offset += ring_bytes;
            }
        }
        let [to_server, to_client] = made;
        let regions = Regions::new(mappings);
        Ok((
            Self {
                regions,
                to_server,
                to_client,
                size,
                buffers,
            },
            layout,
        ))
    }

    /// The server said yes: offers the receive buffers and hands out the queues.
    pub(crate) fn accept(self, peer: Peer, up: &Arc<AtomicBool>) -> Result<Link, DisconnectReason> {
        let Self {
            regions,
            to_server,
            to_client,
            size,
            buffers,
        } = self;
        let port = |(ring, bell): (RingMemory, OwnedFd)| {
            // The server was told to wait; peers reset the indices while they connect, and so does this.
            ring.set_head(0);
            ring.set_tail(0);
            Port::new(ring, regions.clone(), Doorbell::own(bell), Arc::clone(up))
        };
        let queues = match buffers {
            OfferedBuffers::Copy { start, buffer_size } => {
                let mut rows = BufferRow::all(start, buffer_size, size);
                let tx: Vec<_> = to_server
                    .into_iter()
                    .zip(rows.by_ref())
                    .map(|(ring, row)| TxQueue::client(port(ring), row))
                    .collect();
                let rx = to_client
                    .into_iter()
                    .zip(rows)
                    .map(|(ring, row)| RxQueue::client(port(ring), row))
                    .collect();
                Queues::Copy { rx, tx }
            }
            OfferedBuffers::Arenas(arenas) => {
                let of = |index: u16| arenas.get(usize::from(index)).map(Arc::clone);
                let mut rx = Vec::new();
                for (index, ring) in (0..).zip(to_client) {
                    let arena = of(index).ok_or(RegionError::Layout)?;
                    rx.push(ZeroCopyRx::new(port(ring), arena, index + 1));
                }
                let mut tx = Vec::new();
                for (index, ring) in (0..).zip(to_server) {
                    let arena = of(index).ok_or(RegionError::Layout)?;
                    tx.push(ZeroCopyTx::new(port(ring), arena, index + 1));
                }
                Queues::ZeroCopy { rx, tx }
            }
        };
        Ok(Link {
            peer,
            log2_ring_size: size.log2(),
            queues,
        })
    }
}

/// Where the buffers of a copying client start, and the size of its region; offsets are 32 bits.
fn copy_layout(
    start: usize,
    rings: usize,
    size: RingSize,
    buffer_size: u32,
) -> Result<(u32, usize), RegionError> {
    let bytes = u64::from(buffer_size) * u64::from(size.entries()) * rings as u64;
    let len = start as u64 + bytes;
    if buffer_size == 0 || len > u64::from(u32::MAX) {
        return Err(RegionError::Layout);
    }
    let start = u32::try_from(start).map_err(|_| RegionError::Layout)?;
    let len = usize::try_from(len).map_err(|_| RegionError::Layout)?;
    Ok((start, len.next_multiple_of(4096)))
}

fn make_ring(
    mapping: &Arc<Mapping>,
    offset: usize,
    size: RingSize,
) -> Result<(RingMemory, OwnedFd, RingSpec<OwnedFd>), DisconnectReason> {
    let ring = RingMemory::new(mapping, offset, size).map_err(|_| RegionError::RingOutside(0))?;
    ring.initialise();
    let bell =
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
    let spec = RingSpec {
        region: 0,
        offset: u32::try_from(offset).map_err(|_| RegionError::Layout)?,
        log2_ring_size: size.log2(),
        interrupt: bell.try_clone()?,
    };
    Ok((ring, bell, spec))
}
