//! Memory and rings that are shared with the kernel, and the system calls of sockets and programs.
//!
//! # Charter
//! Memory: anonymous memory registered with a socket ([`Memory`]), and mappings of a socket's rings ([`Ring`]).
//! Other writers: the kernel, in chunks whose descriptors it holds and in its own index of each ring; nobody else, since
//! neither is inherited or passed on. Invariants: memory outlives the socket it is registered with (`Queue` drops the
//! mapping first, but the kernel pins the pages); it is accessed by raw copies inside checked bounds only; ring indices
//! are atomic and masked; pointers given to `bpf` and `setsockopt` live across the call. Tests: the namespace tests
//! move frames of all sizes both ways, and past the end of every ring.
#![expect(
    unsafe_code,
    reason = "maps memory shared with the kernel; bpf and socket calls that no safe crate wraps"
)]

use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::sys::set_option;

/// Offsets at which the rings of a socket are mapped.
pub(super) const PAGE_RX: u64 = 0;
pub(super) const PAGE_TX: u64 = 0x8000_0000;
pub(super) const PAGE_FILL: u64 = 0x1_0000_0000;
pub(super) const PAGE_COMPLETION: u64 = 0x1_8000_0000;

/// Bytes of `union bpf_attr` that are used here.
const ATTRIBUTES_LEN: usize = 64;

/// A frame in the memory, `struct xdp_desc`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Descriptor {
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) options: u32,
}

/// A mapping that ends with its owner.
#[derive(Debug)]
struct Mapping {
    base: *mut u8,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and no reference into it is handed out but to atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above; plain bytes are only touched by raw copies of whoever owns their descriptor.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize, flags: libc::c_int, fd: RawFd, offset: u64) -> io::Result<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let offset = libc::off_t::try_from(offset).unwrap_or_default();
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, rights, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            base: base.cast(),
            len,
        })
    }

    /// The address of `bytes` bytes at `at`, if they are inside.
    fn at(&self, at: usize, bytes: usize) -> Option<*mut u8> {
        let inside = at.checked_add(bytes).is_some_and(|end| end <= self.len);
        inside.then(|| self.base.wrapping_add(at))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, whole, and its last owner is going away.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Chunks of frames.
#[derive(Debug)]
pub(super) struct Memory(Mapping);

impl Memory {
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        Mapping::new(bytes, flags, -1, 0).map(Self)
    }

    /// Copies bytes out; what is outside is left alone.
    pub(super) fn read(&self, at: usize, to: &mut [u8]) {
        if let Some(from) = self.0.at(at, to.len()) {
            // SAFETY: the source is inside the mapping, checked above; a private slice cannot overlap it.
            unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        }
    }

    /// Copies bytes in; what would be outside is left out.
    pub(super) fn write(&self, at: usize, from: &[u8]) {
        if let Some(to) = self.0.at(at, from.len()) {
            // SAFETY: the target is inside the mapping, checked above; a private slice cannot overlap it.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        }
    }
}

/// Where the parts of the rings are.
pub(super) struct Offsets {
    pub(super) rx: libc::xdp_ring_offset,
    pub(super) tx: libc::xdp_ring_offset,
    pub(super) fill: libc::xdp_ring_offset,
    pub(super) completion: libc::xdp_ring_offset,
}

impl Offsets {
    pub(super) fn read(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: plain old data for which all zeroes is a valid value.
        let mut all: libc::xdp_mmap_offsets = unsafe { mem::zeroed() };
        let mut len = libc::socklen_t::try_from(mem::size_of_val(&all)).unwrap_or_default();
        // SAFETY: the pointer and the length describe `all`, which the kernel fills.
        let result = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_MMAP_OFFSETS,
                (&raw mut all).cast(),
                &raw mut len,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            rx: all.rx,
            tx: all.tx,
            fill: all.fr,
            completion: all.cr,
        })
    }
}

/// One ring: this side is its producer or its consumer, never both.
#[derive(Debug)]
pub(super) struct Ring<T> {
    map: Mapping,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: usize,
    mask: u32,
    /// The index of this side, of which the kernel learns by [`Ring::publish`] or [`Ring::release`].
    own: u32,
    /// The index of the kernel, as last seen.
    theirs: u32,
    of: PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    /// Maps a ring of `size` entries, a power of two.
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        offsets: &libc::xdp_ring_offset,
        size: u32,
        page: u64,
    ) -> io::Result<Self> {
        let narrow = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX / 2);
        let entries = narrow(offsets.desc);
        let len = entries + size as usize * mem::size_of::<T>();
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Ok(Self {
            map: Mapping::new(len, flags, fd.as_raw_fd(), page)?,
            producer: narrow(offsets.producer),
            consumer: narrow(offsets.consumer),
            flags: narrow(offsets.flags),
            entries,
            mask: size - 1,
            own: 0,
            theirs: 0,
            of: PhantomData,
        })
    }

    fn word(&self, at: usize) -> Option<&AtomicU32> {
        let word = self.map.at(at, mem::size_of::<AtomicU32>())?;
        // SAFETY: inside the mapping, which lives as long as `self`; the kernel aligns its indices and, as this side
        // does, touches them atomically only.
        Some(unsafe { AtomicU32::from_ptr(word.cast()) })
    }

    fn entry(&self, index: u32) -> Option<*mut T> {
        let size = mem::size_of::<T>();
        let at = self.entries + (index & self.mask) as usize * size;
        self.map.at(at, size).map(<*mut u8>::cast)
    }

    /// Writes an entry. The caller has fewer entries than the ring.
    pub(super) fn push(&mut self, value: T) {
        if let Some(entry) = self.entry(self.own) {
            // SAFETY: inside the mapping and aligned by the kernel; the entry is this side's until it is published.
            unsafe { entry.write(value) };
            self.own = self.own.wrapping_add(1);
        }
    }

    /// Gives what was written to the kernel.
    pub(super) fn publish(&self) {
        if let Some(word) = self.word(self.producer) {
            word.store(self.own, Ordering::Release);
        }
    }

    /// Reads the next entry, if there is one.
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.own == self.theirs {
            self.theirs = self.word(self.producer)?.load(Ordering::Acquire);
            if self.own == self.theirs {
                return None;
            }
        }
        let entry = self.entry(self.own)?;
        self.own = self.own.wrapping_add(1);
        // SAFETY: inside the mapping and aligned by the kernel, which wrote it before its index.
        Some(unsafe { entry.read() })
    }

    /// Gives entries that were read back to the kernel.
    pub(super) fn release(&self) {
        if let Some(word) = self.word(self.consumer) {
            word.store(self.own, Ordering::Release);
        }
    }

    /// Whether the kernel wants to be called.
    pub(super) fn needs_wakeup(&self) -> bool {
        let flags = self.word(self.flags);
        flags.is_some_and(|f| f.load(Ordering::Acquire) & libc::XDP_RING_NEED_WAKEUP != 0)
    }
}

/// Opens a socket that is not bound yet.
pub(super) fn open_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes and gives plain numbers.
    own(unsafe { libc::socket(libc::AF_XDP, kind, 0) }.into())
}

pub(super) fn register_memory(
    fd: BorrowedFd<'_>,
    memory: &Memory,
    chunk_size: u32,
) -> io::Result<()> {
    let registration = libc::xdp_umem_reg {
        addr: memory.0.base.expose_provenance() as u64,
        len: memory.0.len as u64,
        chunk_size,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    set_option(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)
}

pub(super) fn set_ring_size(fd: BorrowedFd<'_>, ring: libc::c_int, size: u32) -> io::Result<()> {
    set_option(fd, libc::SOL_XDP, ring, &size)
}

/// Binds a socket to a queue of an interface.
pub(super) fn bind(fd: BorrowedFd<'_>, index: u32, queue: u32, flags: u16) -> io::Result<()> {
    let address = libc::sockaddr_xdp {
        sxdp_family: u16::try_from(libc::AF_XDP).unwrap_or_default(),
        sxdp_flags: flags,
        sxdp_ifindex: index,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let len = libc::socklen_t::try_from(mem::size_of_val(&address)).unwrap_or_default();
    // SAFETY: the pointer and the length describe `address`, which the kernel only reads.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the kernel look into the fill ring.
pub(super) fn wake_receive(fd: BorrowedFd<'_>) {
    let (none, zero) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: no buffer and no address: nothing is written.
    unsafe {
        libc::recvfrom(
            fd.as_raw_fd(),
            none,
            0,
            libc::MSG_DONTWAIT,
            zero,
            ptr::null_mut(),
        )
    };
}

/// Lets the kernel send; tells whether another call may help.
pub(super) fn wake_transmit(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: no buffer and no address: nothing is read.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            ptr::null(),
            0,
            libc::MSG_DONTWAIT,
            ptr::null(),
            0,
        )
    };
    sent >= 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

/// Arguments of `bpf`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Attributes([u8; ATTRIBUTES_LEN]);

impl Default for Attributes {
    fn default() -> Self {
        Self([0; ATTRIBUTES_LEN])
    }
}

impl Attributes {
    /// The same with a number at an offset.
    #[must_use]
    pub(super) fn with(mut self, at: usize, value: u32) -> Self {
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
        self
    }
}

/// Calls `bpf`; the kernel finds the address of each buffer at its offset in the arguments, and only reads there.
pub(super) fn bpf(
    command: libc::c_int,
    attributes: &Attributes,
    buffers: &[(usize, &[u8])],
) -> io::Result<libc::c_long> {
    let mut attributes = *attributes;
    for (at, buffer) in buffers {
        if let Some(place) = attributes.0.get_mut(*at..*at + 8) {
            let address = buffer.as_ptr().expose_provenance() as u64;
            place.copy_from_slice(&address.to_ne_bytes());
        }
    }
    // SAFETY: the arguments and the buffers behind them live across the call; they are as long as the command takes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const attributes,
            ATTRIBUTES_LEN,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The same for a command that opens something.
pub(super) fn bpf_open(
    command: libc::c_int,
    attributes: &Attributes,
    buffers: &[(usize, &[u8])],
) -> io::Result<OwnedFd> {
    own(bpf(command, attributes, buffers)?)
}

fn own(fd: libc::c_long) -> io::Result<OwnedFd> {
    let Ok(fd) = RawFd::try_from(fd) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this process, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
