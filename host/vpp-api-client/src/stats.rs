//! Reads VPP's statistics segment (layout: [`vpp_api::stats`]).
//!
//! VPP hands out a descriptor of the shared memory. It is read with `pread`, not mapped: that
//! needs no unsafe code, a copy is due anyway, and a writer that shrinks or scribbles can at worst
//! make a read fail. All lengths and pointers in it are checked.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recvmsg, socket_with,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use vpp_api::stats::{
    Combined, ENTRY_LEN, Entry, HEADER_LEN, Header, Kind, VECTOR_HEADER_LEN, VERSION, words,
};

/// Bytes of vectors that one reading may copy, against pointers that all lead to the same place.
const READ_BYTES_MAX: u64 = 1 << 30;
/// Attempts at a consistent copy, and the pause between them.
const ATTEMPTS_MAX: u32 = 500;
const PAUSE: Duration = Duration::from_millis(2);

/// Why there are no statistics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// The socket cannot be reached.
    #[error("connect to `{}`\nhint: is `statseg` configured?", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The other side sent no descriptor.
    #[error("`{}` handed out no descriptor", .0.display())]
    NoDescriptor(PathBuf),
    /// The memory cannot be read.
    #[error("read the statistics segment")]
    Io(#[from] io::Error),
    /// Another layout.
    #[error("statistics segment of version {0}, not {VERSION}")]
    Version(u64),
    /// A pointer leads out of the segment.
    #[error("{len} bytes at offset {offset} lie outside of the segment of {size}")]
    Outside {
        /// Where.
        offset: u64,
        /// How much.
        len: u64,
        /// Size of the segment.
        size: u64,
    },
    /// Absurdly much.
    #[error("statistics of more than {READ_BYTES_MAX} bytes")]
    TooBig,
    /// The shape changes faster than it can be read.
    #[error("no consistent view of the statistics after {0} attempts")]
    Unstable(u32),
}

/// A statistic.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number: a counter, a gauge, or the bits of an `f64`.
    Number(u64),
    /// Per thread one number per object.
    Simple(Vec<Vec<u64>>),
    /// Per thread packets and bytes per object.
    Combined(Vec<Vec<Combined>>),
    /// A text per object; `None` where an index is free.
    Names(Vec<Option<String>>),
    /// Per thread the smallest exponent and a bin per power of two.
    Histogram(Vec<Vec<u64>>),
    /// A kind that is not read.
    Unread(Kind),
}

impl Value {
    /// Sums one object's counter over the threads.
    #[must_use]
    pub fn packets(&self, index: usize) -> Option<u64> {
        match self {
            Self::Simple(threads) => {
                let counters = threads.iter().filter_map(|row| row.get(index));
                counters.copied().reduce(u64::wrapping_add)
            }
            Self::Combined(_) => self.combined(index).map(|sum| sum.packets),
            Self::Number(_) | Self::Names(_) | Self::Histogram(_) | Self::Unread(_) => None,
        }
    }

    /// Sums one object's packets and bytes over the threads.
    #[must_use]
    pub fn combined(&self, index: usize) -> Option<Combined> {
        let Self::Combined(threads) = self else {
            return None;
        };
        threads
            .iter()
            .filter_map(|row| row.get(index))
            .copied()
            .reduce(|mut sum, counter| {
                sum += counter;
                sum
            })
    }

    /// Reduces counters to one object.
    fn column(self, index: usize) -> Self {
        fn cut<T: Copy>(threads: &[Vec<T>], index: usize) -> Vec<Vec<T>> {
            threads
                .iter()
                .map(|row| row.get(index).copied().into_iter().collect())
                .collect()
        }
        match self {
            Self::Simple(threads) => Self::Simple(cut(&threads, index)),
            Self::Combined(threads) => Self::Combined(cut(&threads, index)),
            whole @ (Self::Number(_) | Self::Names(_) | Self::Histogram(_) | Self::Unread(_)) => {
                whole
            }
        }
    }
}

/// The segment of a running VPP.
#[derive(Debug)]
pub struct StatsSegment {
    memory: OwnedFd,
}

impl StatsSegment {
    /// Takes the memory from whoever has its descriptor already.
    #[must_use]
    pub const fn from_descriptor(memory: OwnedFd) -> Self {
        Self { memory }
    }

    /// Fetches the descriptor from VPP's statistics socket.
    ///
    /// # Errors
    /// When the socket cannot be reached or hands out no descriptor in time.
    pub async fn connect(path: &Path, timeout: Duration) -> Result<Self, StatsError> {
        let failed = |source| StatsError::Connect {
            path: path.into(),
            source,
        };
        let silent = |_| failed(io::ErrorKind::TimedOut.into());
        let received = tokio::time::timeout(timeout, receive_descriptor(path)).await;
        let memory = received.map_err(silent)?.map_err(failed)?;
        let memory = memory.ok_or_else(|| StatsError::NoDescriptor(path.into()))?;
        Ok(Self { memory })
    }

    /// Copies the statistics whose names are `wanted`, all of one moment's shape.
    ///
    /// # Errors
    /// When the segment cannot be read, makes no sense, or changes all the time.
    pub async fn read(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Value>, StatsError> {
        for _ in 0..ATTEMPTS_MAX {
            let before = self.header()?;
            if before.version != VERSION {
                return Err(StatsError::Version(before.version));
            }
            if !before.in_progress {
                let mut copy = Copying {
                    segment: self,
                    base: before.base,
                    left: READ_BYTES_MAX,
                };
                let read = copy.all(before.directory, &wanted);
                let after = self.header()?;
                if after.epoch == before.epoch && !after.in_progress {
                    return read;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(StatsError::Unstable(ATTEMPTS_MAX))
    }

    fn header(&self) -> Result<Header, StatsError> {
        let mut bytes = [0; HEADER_LEN];
        self.copy(0, &mut bytes)?;
        Ok(Header::parse(&bytes))
    }

    fn copy(&self, offset: u64, mut buffer: &mut [u8]) -> Result<(), StatsError> {
        let (start, len) = (offset, buffer.len() as u64);
        let mut at = offset;
        while !buffer.is_empty() {
            let count =
                rustix::io::pread(&self.memory, &mut *buffer, at).map_err(io::Error::from)?;
            if count == 0 {
                return Err(StatsError::Outside {
                    offset: start,
                    len,
                    size: self.size()?,
                });
            }
            at += count as u64;
            buffer = buffer.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, StatsError> {
        let stat = rustix::fs::fstat(&self.memory).map_err(io::Error::from)?;
        Ok(u64::try_from(stat.st_size).unwrap_or_default())
    }
}

/// One attempt at a copy.
struct Copying<'a> {
    segment: &'a StatsSegment,
    base: u64,
    left: u64,
}

impl Copying<'_> {
    fn all(
        &mut self,
        directory: u64,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Value>, StatsError> {
        let bytes = self.vector(directory, ENTRY_LEN)?;
        let entries: Vec<Entry> = bytes.as_chunks().0.iter().map(Entry::parse).collect();
        let mut values = BTreeMap::new();
        for entry in &entries {
            if !matches!(entry.kind, Kind::Empty | Kind::Other(0)) && wanted(&entry.name) {
                values.insert(entry.name.clone(), self.value(entry, &entries)?);
            }
        }
        Ok(values)
    }

    fn value(&mut self, entry: &Entry, entries: &[Entry]) -> Result<Value, StatsError> {
        Ok(match entry.kind {
            Kind::Scalar | Kind::Gauge => Value::Number(entry.value),
            Kind::Simple => Value::Simple(self.rows(entry.value)?),
            Kind::Histogram => Value::Histogram(self.rows(entry.value)?),
            Kind::Combined => Value::Combined(self.combined(entry.value)?),
            Kind::Names => Value::Names(self.names(entry.value)?),
            Kind::Symlink => {
                let (index, column) = entry.symlink();
                match entries.get(index as usize) {
                    Some(target) if target.kind != Kind::Symlink => {
                        self.value(target, entries)?.column(column as usize)
                    }
                    _ => Value::Unread(Kind::Symlink),
                }
            }
            Kind::Empty | Kind::Ring | Kind::Other(_) => Value::Unread(entry.kind),
        })
    }

    fn rows(&mut self, pointer: u64) -> Result<Vec<Vec<u64>>, StatsError> {
        let threads = self.vector(pointer, 8)?;
        words(&threads)
            .map(|row| Ok(words(&self.vector(row, 8)?).collect()))
            .collect()
    }

    fn combined(&mut self, pointer: u64) -> Result<Vec<Vec<Combined>>, StatsError> {
        let threads = self.vector(pointer, 8)?;
        let pair = |bytes: &[u8; 16]| {
            let mut pair = words(bytes);
            let mut word = || pair.next().unwrap_or_default();
            Combined {
                packets: word(),
                bytes: word(),
            }
        };
        words(&threads)
            .map(|row| {
                Ok(self
                    .vector(row, 16)?
                    .as_chunks()
                    .0
                    .iter()
                    .map(pair)
                    .collect())
            })
            .collect()
    }

    fn names(&mut self, pointer: u64) -> Result<Vec<Option<String>>, StatsError> {
        let names = self.vector(pointer, 8)?;
        let name = |pointer| -> Result<_, StatsError> {
            if pointer == 0 {
                return Ok(None);
            }
            let bytes = self.vector(pointer, 1)?;
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(text).into_owned()))
        };
        words(&names).map(name).collect()
    }

    /// Copies the elements of a vector; a null pointer is an empty one.
    fn vector(&mut self, pointer: u64, element_len: usize) -> Result<Vec<u8>, StatsError> {
        if pointer == 0 {
            return Ok(Vec::new());
        }
        let offset = pointer.wrapping_sub(self.base);
        let header = offset.wrapping_sub(VECTOR_HEADER_LEN as u64);
        let size = self.segment.size()?;
        let outside = |len| StatsError::Outside { offset, len, size };
        if header > size {
            return Err(outside(0));
        }
        let mut count = [0; 4];
        self.segment.copy(header, &mut count)?;
        let len = u64::from(u32::from_ne_bytes(count)) * element_len as u64;
        if offset.checked_add(len).is_none_or(|end| end > size) {
            return Err(outside(len));
        }
        self.left = self.left.checked_sub(len).ok_or(StatsError::TooBig)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| StatsError::TooBig)?];
        self.segment.copy(offset, &mut bytes)?;
        Ok(bytes)
    }
}

async fn receive_descriptor(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    // Tokio has no type for packet sockets, but this one only waits and never reads.
    let socket = UnixStream::from_std(socket.into())?;
    loop {
        socket.readable().await?;
        match socket.try_io(Interest::READABLE, || take_descriptor(socket.as_fd())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

/// The packet is empty, so that zero bytes received is not the end: the descriptor beside counts.
fn take_descriptor(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            return Ok(descriptors.next());
        }
    }
    Ok(None)
}
