//! The statistics segment: a sealed memfd in VPP's layout, handed to whoever connects to the statistics socket.
//!
//! One writer (the main thread) publishes about once a second. Clients get a read-only descriptor, so nobody can
//! change what others read.

pub mod collect;
pub mod layout;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use layout::{EPOCH_AT, Entry, HEADER_LEN, IN_PROGRESS_AT, Value};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen,
    sendmsg, socket,
};
use rustix::net::{SocketFlags, accept_with};

/// Size of the segment, as VPP's default; pages that are never written cost nothing.
pub const SEGMENT_BYTES: u64 = 32 << 20;

/// What readers may cache of an entry: everything but the numbers.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Number,
    Counters(Vec<usize>),
    Names(Vec<Option<String>>),
    Symlink(u32, u32),
}

/// The writer of the segment.
#[derive(Debug)]
pub struct StatsSegment {
    file: File,
    epoch: u64,
    shape: Vec<(String, Shape)>,
}

impl StatsSegment {
    /// Makes an empty segment.
    pub fn create() -> io::Result<Self> {
        let fd = memfd_create(
            c"weft-stats",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )?;
        let file = File::from(fd);
        file.set_len(SEGMENT_BYTES)?;
        fcntl(
            &file,
            FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW),
        )?;
        let mut segment = Self {
            file,
            epoch: 0,
            shape: Vec::new(),
        };
        segment.publish(&[])?;
        Ok(segment)
    }

    /// Replaces the contents. Readers notice by the epoch when entries came, went or changed their length.
    pub fn publish(&mut self, entries: &[Entry]) -> io::Result<()> {
        let shape: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.clone(), shape_of(&entry.value)))
            .collect();
        let reshaped = shape != self.shape || self.epoch == 0;
        if reshaped {
            self.epoch += 1;
            self.shape = shape;
        }
        let image = layout::encode(entries, self.epoch);
        if image.len() as u64 > SEGMENT_BYTES {
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        if !reshaped {
            return self.file.write_all_at(
                image.get(HEADER_LEN..).unwrap_or_default(),
                HEADER_LEN as u64,
            );
        }
        self.file
            .write_all_at(&1u64.to_ne_bytes(), IN_PROGRESS_AT)?;
        self.file
            .write_all_at(&self.epoch.to_ne_bytes(), EPOCH_AT)?;
        self.file.write_all_at(
            image.get(HEADER_LEN..).unwrap_or_default(),
            HEADER_LEN as u64,
        )?;
        // The header ends with the directory pointer and carries the cleared in-progress mark.
        self.file
            .write_all_at(image.get(..HEADER_LEN).unwrap_or_default(), 0)
    }

    /// Opens a second, read-only description of the segment for clients.
    fn read_only(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// Hands the segment to every client of the socket at `path`, on a thread of its own, for the life of the process.
pub fn serve(segment: &StatsSegment, path: &Path) -> io::Result<()> {
    let file = segment.read_only()?;
    let listener = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&listener, Backlog::new(16)?)?;
    std::thread::Builder::new()
        .name("stats".into())
        .spawn(move || {
            loop {
                if let Err(error) = hand_out(&listener, &file) {
                    tracing::warn!(%error, "cannot hand out the statistics segment");
                }
            }
        })?;
    Ok(())
}

/// Waits for one client, sends it an empty packet with the descriptor, and hangs up.
fn hand_out(listener: &OwnedFd, segment: &File) -> io::Result<()> {
    let client = accept_with(listener, SocketFlags::CLOEXEC)?;
    let descriptors = [segment.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(
        client.as_raw_fd(),
        &[],
        &control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Scalar(_) => Shape::Number,
        Value::Simple(threads) => Shape::Counters(threads.iter().map(Vec::len).collect()),
        Value::Combined(threads) => Shape::Counters(threads.iter().map(Vec::len).collect()),
        Value::Names(names) => Shape::Names(names.clone()),
        Value::Symlink(entry, index) => Shape::Symlink(*entry, *index),
    }
}
