//! Packet buffers inside a module's memory.
//!
//! Charter. What memory: address space reserved for one module (4 GiB and a guard), whose first part is private
//! memory of the module and whose middle may be a shared mapping of an arena, the *window*; and an arena's own
//! mapping in this process. Who else writes: any process that maps the arena, at any time. Invariants:
//! 1. bytes of the window are data: nothing here or in the sandbox decides about memory by looking at them, and
//!    no Rust reference to them is ever made, only copies through raw pointers;
//! 2. the arena cannot shrink (sealed, checked), so that no access can raise SIGBUS;
//! 3. a mapping lives as long as its [`Placement`], which everything that knows its address holds on to;
//! 4. host copies stay inside the mapping: every offset is checked against its size first.
//!
//! Tested: edits seen through another mapping, the byte behind the window traps, an unsealed region is refused,
//! a descriptor table outside of the module's own memory is refused, a window outlives its instances.
#![expect(unsafe_code, reason = "maps memory, and copies through raw pointers")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};
use weft_sdk::{Descriptor, descriptor};

use crate::fault::WindowError;

/// Address space of one module: all that 32 bits can name, so that compiled code needs no bounds checks.
pub(crate) const RESERVED_BYTES: u64 = 4 << 30;
/// Largest window: leaves the module half of its addresses.
const WINDOW_BYTES_MAX: usize = 2 << 30;
/// Memory of a module comes in these.
const WASM_PAGE: usize = 64 << 10;

/// A region of slots that modules work on. Clones are the same region.
#[derive(Debug, Clone)]
pub struct Window {
    region: Arc<OwnedFd>,
    bytes: usize,
    slot_bytes: u32,
}

impl Window {
    /// Takes the first `bytes` of a memory file. It must be sealed against shrinking.
    ///
    /// # Errors
    /// [`WindowError`] if the region is not sealed, not that large, or not a whole number of slots.
    pub fn shared(
        region: BorrowedFd<'_>,
        bytes: usize,
        slot_bytes: u32,
    ) -> Result<Self, WindowError> {
        let slot = usize::try_from(slot_bytes).unwrap_or(0);
        let whole = bytes.checked_rem(slot).is_some_and(|rest| rest == 0);
        let page_whole = bytes.is_multiple_of(rustix::param::page_size());
        let size = usize::try_from(fstat(region).map_err(io::Error::from)?.st_size).unwrap_or(0);
        let fits = 0 < bytes && bytes <= size.min(WINDOW_BYTES_MAX);
        if !(whole && page_whole && fits) {
            return Err(WindowError::Size { bytes, slot_bytes });
        }
        let seals = fcntl_get_seals(region).map_err(|_| WindowError::NotSealed)?;
        if !seals.contains(SealFlags::SHRINK) {
            return Err(WindowError::NotSealed);
        }
        let region = Arc::new(region.try_clone_to_owned()?);
        Ok(Self {
            region,
            bytes,
            slot_bytes,
        })
    }

    /// Its size.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Size of its slots; a packet never leaves its slot.
    #[must_use]
    pub const fn slot_bytes(&self) -> u32 {
        self.slot_bytes
    }

    /// Bytes of a module's address space that the window takes.
    pub(crate) const fn mapped_bytes(&self) -> usize {
        self.bytes.next_multiple_of(WASM_PAGE)
    }
}

/// A private region of slots: the window of a runner that copies frames in and out, and of tests.
#[derive(Debug)]
pub struct Arena {
    window: Window,
    mapping: Mapping,
}

impl Arena {
    /// Makes a sealed region of at least `slots` slots.
    ///
    /// # Errors
    /// [`WindowError`] if the size is unusable or memory is short.
    pub fn new(slots: u32, slot_bytes: u32) -> Result<Self, WindowError> {
        let unit = lcm(u64::from(slot_bytes), WASM_PAGE as u64);
        let wanted = (u64::from(slots) * u64::from(slot_bytes)).next_multiple_of(unit.max(1));
        let bytes = usize::try_from(wanted).unwrap_or(usize::MAX);
        if slot_bytes == 0 || bytes == 0 || bytes > WINDOW_BYTES_MAX {
            return Err(WindowError::Size { bytes, slot_bytes });
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let region = rustix::fs::memfd_create("weft-arena", flags).map_err(io::Error::from)?;
        ftruncate(&region, wanted).map_err(io::Error::from)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&region, seals).map_err(io::Error::from)?;
        let mapping = Mapping::shared(region.as_fd(), bytes)?;
        let window = Window::shared(region.as_fd(), bytes, slot_bytes)?;
        Ok(Self { window, mapping })
    }

    /// The region, to be instantiated on.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// The memory file, to be mapped by others.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.window.region.as_fd()
    }

    /// Copies bytes into the region.
    ///
    /// # Errors
    /// [`WindowError::Outside`].
    pub fn write(&self, offset: u32, bytes: &[u8]) -> Result<(), WindowError> {
        let at = self.at(offset, bytes.len())?;
        // SAFETY: `at` checked that the target is inside the mapping; a private slice cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        Ok(())
    }

    /// Copies bytes out of the region.
    ///
    /// # Errors
    /// [`WindowError::Outside`].
    pub fn read(&self, offset: u32, into: &mut [u8]) -> Result<(), WindowError> {
        let at = self.at(offset, into.len())?;
        // SAFETY: `at` checked that the source is inside the mapping; a private slice cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(at, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn at(&self, offset: u32, length: usize) -> Result<*mut u8, WindowError> {
        let start = offset as usize;
        let inside = start
            .checked_add(length)
            .is_some_and(|end| end <= self.mapping.bytes);
        inside
            .then(|| self.mapping.at(start))
            .ok_or(WindowError::Outside { offset, length })
    }
}

const fn lcm(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    match a.checked_div(x) {
        Some(part) => part * b,
        None => 0,
    }
}

/// Address space that is given back when nobody knows it any more.
#[derive(Debug)]
struct Mapping {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and this type never makes a reference into it.
unsafe impl Send for Mapping {}
// SAFETY: as above; concurrent copies through raw pointers are ordered by the callers' `&mut` instances.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn shared(region: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe { mmap(ptr::null_mut(), bytes, rights, MapFlags::SHARED, region, 0) }?;
        Ok(Self {
            base: base.cast(),
            bytes,
        })
    }

    fn reserve(bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Ok(Self {
            base: base.cast(),
            bytes,
        })
    }

    /// `offset` must not exceed the mapping's size.
    const fn at(&self, offset: usize) -> *mut u8 {
        self.base.wrapping_add(offset)
    }

    fn open(&self, from: usize, to: usize) -> io::Result<()> {
        let rights = MprotectFlags::READ | MprotectFlags::WRITE;
        let (start, bytes) = (self.at(from).cast::<c_void>(), to.saturating_sub(from));
        if to > self.bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range was checked to be inside this mapping, which nobody else manages.
        unsafe { mprotect(start, bytes, rights) }.map_err(io::Error::from)
    }

    fn lay(&self, offset: usize, region: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
        if offset.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        let at = self.at(offset).cast::<c_void>();
        // SAFETY: the range was checked to be inside this mapping, so only its own reservation is replaced.
        unsafe { mmap(at, bytes, rights, flags, region, 0) }.map_err(io::Error::from)?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, whole, and its last owner is going away.
        _ = unsafe { munmap(self.base.cast(), self.bytes) };
    }
}

/// Where a module's memory and its window are.
#[derive(Debug)]
pub(crate) struct Placement {
    mapping: Mapping,
    /// Bytes the module can reach now, window included.
    accessible: AtomicUsize,
    window_at: usize,
    window_end: usize,
}

impl Placement {
    /// The window's address in the module's memory.
    pub(crate) fn window_at(&self) -> u32 {
        u32::try_from(self.window_at).unwrap_or(u32::MAX)
    }

    /// True if `bytes` bytes at `address` are the module's own.
    pub(crate) fn is_own(&self, address: u32, bytes: usize) -> bool {
        let start = address as usize;
        let Some(end) = start.checked_add(bytes) else {
            return false;
        };
        let apart = end <= self.window_at || start >= self.window_end;
        apart && end <= self.accessible.load(Ordering::Acquire)
    }

    /// Copies descriptors into the module. False if the place is not its own.
    pub(crate) fn write_table(&self, address: u32, table: &[Descriptor]) -> bool {
        let bytes = size_of_val(table);
        if !self.is_own(address, bytes) {
            return false;
        }
        let (from, to) = (
            table.as_ptr().cast::<u8>(),
            self.mapping.at(address as usize),
        );
        // SAFETY: the target is accessible memory of the module, checked above; the caller's slice is private.
        unsafe { ptr::copy_nonoverlapping(from, to, bytes) };
        true
    }

    /// Copies descriptors out of the module. False if the place is not its own.
    pub(crate) fn read_table(&self, address: u32, table: &mut [Descriptor]) -> bool {
        let bytes = size_of_val(table);
        if !self.is_own(address, bytes) {
            return false;
        }
        let (from, to) = (
            self.mapping.at(address as usize),
            table.as_mut_ptr().cast::<u8>(),
        );
        // SAFETY: the source is accessible memory of the module, checked above; any bytes are a descriptor.
        unsafe { ptr::copy_nonoverlapping(from, to, bytes) };
        true
    }
}

// Descriptors are copied as they lie in memory; the contract says little endian.
const _: () =
    assert!(cfg!(target_endian = "little") && size_of::<Descriptor>() == descriptor::BYTES);

struct ModuleMemory(Arc<Placement>);

// SAFETY: the base never moves, `byte_size` bytes from it are readable and writable, everything up to the
// reservation and its guard is reserved and not accessible, and fresh pages are zero.
unsafe impl LinearMemory for ModuleMemory {
    fn byte_size(&self) -> usize {
        self.0.accessible.load(Ordering::Acquire)
    }

    fn byte_capacity(&self) -> usize {
        usize::try_from(RESERVED_BYTES).unwrap_or(usize::MAX)
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.byte_capacity() {
            wasmtime::bail!("memory beyond the reservation");
        }
        self.0.mapping.open(self.byte_size(), new_size)?;
        self.0.accessible.store(new_size, Ordering::Release);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.mapping.at(0)
    }
}

thread_local! {
    /// Hands a window to the memory that the running `instantiate` makes, and its placement back.
    static HANDOVER: RefCell<Handover> = const { RefCell::new(Handover::Nothing) };
}

enum Handover {
    Nothing,
    Wanted(Window),
    Placed(Arc<Placement>),
}

/// Runs `instantiate` so that the module's only memory holds the window.
pub(crate) fn with_window<R>(
    window: &Window,
    instantiate: impl FnOnce() -> R,
) -> (R, Option<Arc<Placement>>) {
    HANDOVER.replace(Handover::Wanted(window.clone()));
    let result = instantiate();
    match HANDOVER.replace(Handover::Nothing) {
        Handover::Placed(placement) => (result, Some(placement)),
        Handover::Nothing | Handover::Wanted(_) => (result, None),
    }
}

pub(crate) fn creator() -> Arc<dyn MemoryCreator> {
    Arc::new(WindowCreator)
}

struct WindowCreator;

// SAFETY: see `ModuleMemory`; reservation and guard are as large as asked for.
unsafe impl MemoryCreator for WindowCreator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let window = match HANDOVER.replace(Handover::Nothing) {
            Handover::Wanted(window) => window,
            Handover::Nothing => return Err("no window was handed over".to_owned()),
            Handover::Placed(_) => return Err("a packet function has one memory".to_owned()),
        };
        if reserved_size_in_bytes.map(|bytes| bytes as u64) != Some(RESERVED_BYTES) {
            return Err("memory is not reserved as a whole".to_owned());
        }
        let reserved = usize::try_from(RESERVED_BYTES).unwrap_or(usize::MAX);
        let total = reserved.saturating_add(guard_size_in_bytes);
        let placement = place(&window, minimum, total).map_err(|error| error.to_string())?;
        HANDOVER.replace(Handover::Placed(Arc::clone(&placement)));
        Ok(Box::new(ModuleMemory(placement)))
    }
}

/// Lays out: the module's memory at birth, the window behind it, and nothing accessible behind that.
fn place(window: &Window, minimum: usize, total: usize) -> io::Result<Arc<Placement>> {
    let window_at = minimum.next_multiple_of(WASM_PAGE);
    let window_end = window_at.saturating_add(window.mapped_bytes());
    if window_end > usize::try_from(RESERVED_BYTES).unwrap_or(usize::MAX) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let mapping = Mapping::reserve(total)?;
    // Whole pages behind a window that ends inside one stay ordinary memory: host-side bounds checks count them.
    mapping.open(0, window_end)?;
    mapping.lay(window_at, window.region.as_fd(), window.bytes)?;
    let accessible = AtomicUsize::new(window_end);
    Ok(Arc::new(Placement {
        mapping,
        accessible,
        window_at,
        window_end,
    }))
}
