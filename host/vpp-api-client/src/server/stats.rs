//! Serves a statistics segment as VPP does: shared memory, and a socket that hands it out.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, connect, listen, sendmsg, socket_with,
};
use tokio::net::{UnixListener, UnixStream};
use vpp_api::stats::{
    DIRECTORY_AT, EPOCH_AT, HEADER_LEN, Header, IN_PROGRESS_AT, Image, ImageError, Shape, VERSION,
    VERSION_AT,
};

/// Clients that may wait to be served.
const BACKLOG: i32 = 64;

/// The memory; whoever has this is its only writer.
#[derive(Debug)]
pub struct StatsPublisher {
    memory: OwnedFd,
    capacity: u64,
    epoch: u64,
    shape: Shape,
}

/// The socket that hands out the memory.
#[derive(Debug)]
pub struct StatsListener {
    /// Listens for packets, which tokio has no type for; it only accepts.
    socket: UnixListener,
    path: PathBuf,
    /// Cannot be written through.
    memory: OwnedFd,
}

/// Why statistics cannot be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The memory or the socket cannot be had or used.
    #[error("statistics segment")]
    Io(#[from] io::Error),
    /// Someone else listens there.
    #[error("`{}` is served by another process", .0.display())]
    InUse(PathBuf),
    /// The image cannot be built.
    #[error("statistics image")]
    Image(#[from] ImageError),
    /// It does not fit the memory, whose size was fixed at the start.
    #[error("statistics of {len} bytes exceed the segment of {capacity}")]
    Full {
        /// Bytes of the image.
        len: usize,
        /// Bytes of the segment.
        capacity: u64,
    },
}

/// Makes a segment of `capacity` bytes and the socket that hands it out; needs a tokio runtime.
///
/// # Errors
/// When the memory or the socket cannot be had.
pub fn stats_segment(
    path: &Path,
    capacity: u64,
) -> Result<(StatsPublisher, StatsListener), PublishError> {
    let memory = memfd_create("vpp-stats", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
    ftruncate(&memory, capacity).map_err(io::Error::from)?;
    let by_number = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let read_only = rustix::fs::open(by_number, flags, Mode::empty()).map_err(io::Error::from)?;
    let socket = UnixListener::from_std(listening(path)?.into())?;
    let mut publisher = StatsPublisher {
        memory,
        capacity,
        epoch: 0,
        shape: Shape::default(),
    };
    publisher.publish(Image::new())?;
    Ok((
        publisher,
        StatsListener {
            socket,
            path: path.into(),
            memory: read_only,
        },
    ))
}

impl StatsPublisher {
    /// Replaces what readers see. While the shape stays the same they need not look it up anew.
    ///
    /// # Errors
    /// When the image does not fit; readers then keep what they have.
    pub fn publish(&mut self, image: Image) -> Result<(), PublishError> {
        let (bytes, shape) = image.finish(self.epoch)?;
        if bytes.len() as u64 > self.capacity {
            return Err(PublishError::Full {
                len: bytes.len(),
                capacity: self.capacity,
            });
        }
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            unreachable!("an image begins with a header");
        };
        if shape == self.shape {
            self.write(HEADER_LEN as u64, body)?;
            return Ok(());
        }
        self.write(IN_PROGRESS_AT, &1_u64.to_ne_bytes())?;
        self.write(HEADER_LEN as u64, body)?;
        self.epoch += 1;
        self.write(VERSION_AT, &VERSION.to_ne_bytes())?;
        let directory = Header::parse(header).directory;
        self.write(DIRECTORY_AT, &directory.to_ne_bytes())?;
        self.write(EPOCH_AT, &self.epoch.to_ne_bytes())?;
        self.write(IN_PROGRESS_AT, &0_u64.to_ne_bytes())?;
        self.shape = shape;
        Ok(())
    }

    fn write(&self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = rustix::io::pwrite(&self.memory, bytes, at)?;
            at += count as u64;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }
}

impl StatsListener {
    /// Hands the memory to whoever connects, until dropped.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(&self) -> io::Result<()> {
        loop {
            let (client, _) = self.socket.accept().await?;
            if let Err(error) = hand_out(&client, &self.memory) {
                tracing::debug!(%error, "statistics client gone");
            }
        }
    }
}

impl Drop for StatsListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn hand_out(client: &UnixStream, memory: &OwnedFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [memory.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        client,
        &[IoSlice::new(&[])],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn listening(path: &Path) -> Result<OwnedFd, PublishError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    let socket = new().map_err(io::Error::from)?;
    if path.exists() {
        if connect(new().map_err(io::Error::from)?, &address).is_ok() {
            return Err(PublishError::InUse(path.into()));
        }
        std::fs::remove_file(path)?;
    }
    bind(&socket, &address).map_err(io::Error::from)?;
    listen(&socket, BACKLOG).map_err(io::Error::from)?;
    Ok(socket)
}
