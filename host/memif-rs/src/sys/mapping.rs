//! One shared mapping and copies in and out of it.

use std::{ffi::c_void, io, os::fd::BorrowedFd, ptr::NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapped memory file.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

/// An access reached over the end of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

// SAFETY: the mapping is plain memory without affinity to a thread; it is unmapped once, by its only owner.
unsafe impl Send for Mapping {}
// SAFETY: all access is by atomics or by copies of bytes that any process may write anyway; see the charter.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `fd`. The caller checked that the file is that long and stays so.
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let null = std::ptr::null_mut();
        // SAFETY: without MAP_FIXED the kernel picks unused addresses, so no existing memory is affected.
        let base = unsafe { mmap(null, len, protection, MapFlags::SHARED, fd, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether `[offset, offset + len)` is inside.
    #[inline]
    pub(crate) const fn contains(&self, offset: usize, len: usize) -> bool {
        offset <= self.len && len <= self.len - offset
    }

    /// Copies bytes out.
    #[inline]
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.at(offset, to.len())?;
        // SAFETY: `at` checked the source; `to` is private memory, which no mapping overlaps.
        unsafe { copy(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// Copies bytes in.
    #[inline]
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> Result<(), OutOfBounds> {
        let to = self.at(offset, from.len())?;
        // SAFETY: `at` checked the destination; `from` is private memory, which no mapping overlaps.
        unsafe { copy(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    /// Copies bytes to another mapping, or within this one; both ranges may overlap.
    #[inline]
    pub(crate) fn copy_to(
        &self,
        offset: usize,
        to: &Self,
        to_offset: usize,
        len: usize,
    ) -> Result<(), OutOfBounds> {
        let from = self.at(offset, len)?;
        let to = to.at(to_offset, len)?;
        // SAFETY: `at` checked both ranges; `copy` allows that a peer makes them overlap.
        unsafe { std::ptr::copy(from, to, len) };
        Ok(())
    }

    /// Asks the processor to fetch the two cache lines from `offset` on, which another core has just written.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = self.base.as_ptr().wrapping_add(offset);
            // SAFETY: a prefetch changes nothing and cannot fault, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
            // SAFETY: as above; the address is not used for anything else.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }

    /// The address of a checked range.
    #[inline]
    pub(super) fn at(&self, offset: usize, len: usize) -> Result<*mut u8, OutOfBounds> {
        if !self.contains(offset, len) {
            return Err(OutOfBounds);
        }
        // SAFETY: `contains` says that `offset` is at most the length of the mapping.
        Ok(unsafe { self.base.as_ptr().add(offset) })
    }
}

/// Copies `len` bytes. The short packets that there are most of are copied by a few wide words, without a call.
///
/// # Safety
/// As for [`std::ptr::copy_nonoverlapping`].
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    const WORD: usize = size_of::<u128>();
    let word = |at: usize| {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        // SAFETY: below, `at` stays `WORD` bytes in front of `len`, and alignment is not asked for.
        let bytes = unsafe { from.cast::<u128>().read_unaligned() };
        // SAFETY: as above.
        unsafe { to.cast::<u128>().write_unaligned(bytes) };
    };
    match len {
        // The last words may overlap those in front of them.
        WORD..=32 => {
            word(0);
            word(len - WORD);
        }
        33..=64 => {
            word(0);
            word(WORD);
            word(len - 2 * WORD);
            word(len - WORD);
        }
        // SAFETY: as the caller says.
        _ => unsafe { std::ptr::copy_nonoverlapping(from, to, len) },
    };
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let base: *mut c_void = self.base.as_ptr().cast();
        // SAFETY: this is the range that `new` mapped, and whoever used it borrowed `self` or held it by `Arc`.
        let unmapped = unsafe { munmap(base, self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping failed");
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn mapping(len: usize) -> Mapping {
        let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, len as u64).unwrap();
        Mapping::new(fd.as_fd(), len).unwrap()
    }

    #[test]
    fn access_over_the_end_is_refused() {
        let memory = mapping(4096);
        let mut byte = [0];
        assert_eq!(memory.read(4095, &mut byte), Ok(()));
        assert_eq!(memory.read(4096, &mut byte), Err(OutOfBounds));
        assert_eq!(memory.read(usize::MAX, &mut byte), Err(OutOfBounds));
        assert_eq!(memory.read(4096, &mut []), Ok(()));
        assert_eq!(memory.write(4095, &[0, 0]), Err(OutOfBounds));
        assert_eq!(memory.copy_to(0, &memory, 4090, 7), Err(OutOfBounds));
        assert_eq!(memory.copy_to(4090, &memory, 0, 7), Err(OutOfBounds));
        assert_eq!(memory.copy_to(1, &memory, usize::MAX, 2), Err(OutOfBounds));
    }

    #[test]
    fn every_length_is_copied_and_no_byte_more() {
        let memory = mapping(4096);
        let bytes: Vec<u8> = (1..=200).collect();
        for len in 0..=200 {
            memory.write(0, &[0; 256]).unwrap();
            memory.write(3, &bytes[..len]).unwrap();
            let mut seen = [0xff; 256];
            memory.read(0, &mut seen[..220]).unwrap();
            assert_eq!(
                (&seen[..3], &seen[3..3 + len]),
                (&[0; 3][..], &bytes[..len])
            );
            assert!(seen[3 + len..220].iter().all(|byte| *byte == 0), "{len}");
            let mut part = [0xff; 256];
            memory.read(3, &mut part[7..7 + len]).unwrap();
            assert_eq!(&part[7..7 + len], &bytes[..len]);
            assert!(
                part[..7]
                    .iter()
                    .chain(&part[7 + len..])
                    .all(|byte| *byte == 0xff)
            );
        }
    }

    #[test]
    fn two_mappings_of_one_file_see_each_other_and_overlap_is_fine() {
        let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, 4096).unwrap();
        let (a, b) = (
            Mapping::new(fd.as_fd(), 4096).unwrap(),
            Mapping::new(fd.as_fd(), 4096).unwrap(),
        );
        a.write(0, b"abcdef").unwrap();
        a.copy_to(0, &b, 2, 4).unwrap();
        let mut seen = [0; 6];
        b.read(0, &mut seen).unwrap();
        assert_eq!(&seen[..2], b"ab");
        a.copy_to(0, &a, 1, 5).unwrap();
        a.read(0, &mut seen).unwrap();
        assert_eq!(&seen[..2], b"aa");
    }
}
