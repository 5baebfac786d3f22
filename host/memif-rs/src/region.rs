//! Regions: memory files, checked before they are mapped, and all regions of a link.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::fs::{FileType, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};

use crate::{
    error::{RegionError, RingError},
    handshake::RegionSpec,
    limits::SealPolicy,
    sys::Mapping,
};

/// The regions of a link by index, shared by all its queues.
#[derive(Debug, Clone)]
pub(crate) struct Regions(Arc<[Arc<Mapping>]>);

impl Regions {
    pub(crate) fn new(mappings: Vec<Arc<Mapping>>) -> Self {
        Self(mappings.into())
    }

    /// The region that a peer's descriptor names, if it holds the whole buffer.
    #[inline]
    pub(crate) fn check(&self, region: u16, offset: u32, len: u32) -> Result<&Mapping, RingError> {
        let mapping = self
            .mapping(region)
            .ok_or(RingError::UnknownRegion(region))?;
        if mapping.contains(offset as usize, len as usize) {
            Ok(mapping)
        } else {
            Err(RingError::OutsideRegion(region))
        }
    }

    #[inline]
    pub(crate) fn mapping(&self, region: u16) -> Option<&Arc<Mapping>> {
        self.0.get(usize::from(region))
    }
}

/// Makes a memory file of `len` bytes that can neither shrink nor grow, and maps it.
pub(crate) fn create(
    name: &str,
    len: usize,
    index: u16,
) -> Result<(OwnedFd, Mapping), RegionError> {
    let make = || -> io::Result<(OwnedFd, Mapping)> {
        let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, len as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let mapping = Mapping::new(fd.as_fd(), len)?;
        Ok((fd, mapping))
    };
    make().map_err(|error| RegionError::Map(index, error.kind()))
}

/// Maps a region of the peer, if its file is memory, long enough and, by policy, sealed.
pub(crate) fn open(
    spec: &RegionSpec<OwnedFd>,
    index: u16,
    policy: SealPolicy,
) -> Result<Mapping, RegionError> {
    let failed = |error: rustix::io::Errno| RegionError::Map(index, error.kind());
    let stat = fstat(&spec.fd).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(RegionError::NotMemory(index));
    }
    // The seals come first: once a file cannot shrink, the size read next is a lower bound for ever.
    let sealed = fcntl_get_seals(&spec.fd).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
    if !sealed && policy == SealPolicy::RequireShrink {
        return Err(RegionError::NotSealed(index));
    }
    let stat = fstat(&spec.fd).map_err(failed)?;
    let long_enough = u64::try_from(stat.st_size).is_ok_and(|size| size >= spec.size);
    let len = usize::try_from(spec.size).map_err(|_| RegionError::TooShort(index))?;
    if !long_enough {
        return Err(RegionError::TooShort(index));
    }
    Mapping::new(spec.fd.as_fd(), len).map_err(|error| RegionError::Map(index, error.kind()))
}
