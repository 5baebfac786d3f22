//! Capture to pcap files. Workers copy what they see into a bounded queue and never wait; a thread of its own writes the
//! file. What does not fit into the queue is counted as lost, not waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vswitch::graph::{DropReason, NodeId};
use vswitch::trace::PacketFilter;
use vswitch::{Frame, SwIfIndex};

use crate::device::pool::TailPool;

/// Where VPP puts captures, whatever their name.
const FOLDER: &str = "/tmp";
/// Packets between the workers and the file.
const QUEUE_MAX: usize = 4096;
/// Most packets of one capture.
pub const PACKETS_MAX: u32 = 10_000_000;
/// Most bytes of a file; what comes later counts as lost.
const FILE_MAX: u64 = 1 << 30;
/// Bytes per packet that can be asked for, as in VPP.
pub const BYTES_PER_PACKET: std::ops::RangeInclusive<u32> = 32..=9000;

/// What to capture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureSpec {
    /// Frames as received.
    pub rx: bool,
    /// Frames as they leave.
    pub tx: bool,
    /// Frames that are dropped.
    pub drop: bool,
    /// Most packets of the file.
    pub packets_max: u32,
    /// Bytes kept of each packet.
    pub bytes_max: u32,
    /// The interface that frames come from or go to; any when absent.
    pub only: Option<SwIfIndex>,
    /// Drops for this reason only.
    pub error: Option<(NodeId, DropReason)>,
    /// Packets that match only.
    pub filter: Option<PacketFilter>,
    /// Name in [`FOLDER`]; empty = made of the directions.
    pub file_name: String,
}

/// Why a capture is not started.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It would be put elsewhere, or hidden.
    #[error(
        "`{0}` is no plain file name\nhint: captures are put into {FOLDER}; leave out the path"
    )]
    Name(String),
    /// The file cannot be made.
    #[error("create `{}`", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The workers' end of a capture.
#[derive(Debug)]
pub struct Capture {
    /// What to capture.
    pub spec: CaptureSpec,
    queue: SyncSender<Record>,
    left: AtomicU32,
    lost: AtomicU64,
}

/// The main thread's end.
#[derive(Debug)]
pub struct Running {
    /// The workers' end.
    pub capture: Arc<Capture>,
    /// The file.
    pub path: PathBuf,
    writer: JoinHandle<io::Result<u32>>,
}

#[derive(Debug)]
struct Record {
    at: Duration,
    len: u32,
    bytes: Vec<u8>,
}

impl CaptureSpec {
    fn path(&self) -> Result<PathBuf, CaptureError> {
        let directions = [(self.rx, "rx"), (self.tx, "tx"), (self.drop, "drop")];
        let default: String = directions
            .iter()
            .filter_map(|(on, name)| on.then_some(*name))
            .chain([".pcap"])
            .collect();
        let name = match self.file_name.as_str() {
            "" => default.as_str(),
            name => name,
        };
        if name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(CaptureError::Name(name.to_owned()));
        }
        Ok(Path::new(FOLDER).join(name))
    }
}

impl Running {
    /// Makes the file and starts its writer.
    ///
    /// # Errors
    /// When the name is not allowed or the file cannot be made.
    pub fn start(spec: CaptureSpec) -> Result<Self, CaptureError> {
        let path = spec.path()?;
        let failed = |source| CaptureError::Create {
            path: path.clone(),
            source,
        };
        let file = create(&path).map_err(failed)?;
        let (queue, records) = sync_channel(QUEUE_MAX);
        let snap = spec.bytes_max;
        let writer = std::thread::Builder::new()
            .name("pcap-writer".into())
            .spawn(move || write(file, snap, &records))
            .map_err(failed)?;
        let capture = Arc::new(Capture {
            left: AtomicU32::new(spec.packets_max),
            lost: AtomicU64::new(0),
            queue,
            spec,
        });
        Ok(Self {
            capture,
            path,
            writer,
        })
    }

    /// Packets captured so far, and packets lost because the file could not keep up.
    pub fn progress(&self) -> (u32, u64) {
        let left = self.capture.left.load(Ordering::Relaxed);
        let taken = self.capture.spec.packets_max - left;
        (taken, self.capture.lost.load(Ordering::Relaxed))
    }

    /// Waits for the file to be complete; call when no worker has the capture any more.
    ///
    /// # Errors
    /// When the file could not be written.
    pub fn finish(self) -> io::Result<(PathBuf, u32)> {
        drop(self.capture);
        let outcome = self.writer.join();
        let count = outcome.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))?;
        Ok((self.path, count))
    }
}

impl Capture {
    /// Takes a copy of a frame that came in by, or leaves by, an interface.
    ///
    /// A packet without link header (`is_bare`) gets one of zeroes, since the file has frames.
    pub fn take(&self, on: SwIfIndex, frame: &Frame, is_bare: bool, tails: &TailsView<'_>) {
        let spec = &self.spec;
        if spec.only.is_some_and(|only| only != on)
            || spec.filter.is_some_and(|f| !f.matches(frame.head()))
            || !self.claim()
        {
            return;
        }
        let link = if is_bare {
            bare_link(frame.head())
        } else {
            Vec::new()
        };
        let record = Record {
            at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            len: u32::try_from(link.len() + frame.len()).unwrap_or(u32::MAX),
            bytes: tails.copy(link, frame, spec.bytes_max as usize),
        };
        if self.queue.try_send(record).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a copy of a dropped frame.
    pub fn take_dropped(
        &self,
        frame: &Frame,
        (node, why): (NodeId, DropReason),
        is_bare: bool,
        tails: &TailsView<'_>,
    ) {
        if self.spec.error.is_none_or(|wanted| wanted == (node, why)) {
            self.take(frame.rx, frame, is_bare, tails);
        }
    }

    fn claim(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// Where the bytes behind the heads of a batch are.
#[derive(Debug)]
pub struct TailsView<'a> {
    /// Of frames from the kernel.
    pub pool: &'a TailPool,
    /// Of frames from a ring.
    pub ring: Option<&'a memif_rs::RxQueue>,
}

impl TailsView<'_> {
    /// Appends a frame to `bytes`, up to `max` bytes in all.
    fn copy(&self, mut bytes: Vec<u8>, frame: &Frame, max: usize) -> Vec<u8> {
        bytes.extend_from_slice(frame.head());
        bytes.truncate(max);
        let Some(tail) = frame.tail else { return bytes };
        let room = (max - bytes.len()).min(tail.len as usize);
        let start = bytes.len();
        match self.ring.filter(|_| tail.slot != crate::device::pool::KEPT) {
            None => {
                let all = self.pool.bytes(tail.slot, tail.offset, tail.len);
                bytes.extend_from_slice(all.get(..room).unwrap_or(all));
            }
            Some(ring) => {
                bytes.resize(start + room, 0);
                let to = bytes.get_mut(start..).unwrap_or_default();
                let copied = ring
                    .packet(tail.slot as usize)
                    .map_or(0, |packet| packet.copy_out(tail.offset as usize, to));
                bytes.truncate(start + copied);
            }
        }
        bytes
    }
}

/// An Ethernet header for an IP packet.
fn bare_link(packet: &[u8]) -> Vec<u8> {
    let ethertype: u16 = match packet.first().map(|byte| byte >> 4) {
        Some(6) => packet::ethernet::IPV6,
        _ => packet::ethernet::IPV4,
    };
    let mut link = vec![0; packet::ethernet::HEADER_LEN - 2];
    link.extend_from_slice(&ethertype.to_be_bytes());
    link
}

/// Replaces whatever has the name: a link planted there is removed, not followed.
fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The classic format: a header, then records; little endian, microseconds, Ethernet.
fn write(file: File, snap: u32, records: &Receiver<Record>) -> io::Result<u32> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const ETHERNET: u32 = 1;
    let mut out = BufWriter::new(file);
    let version: [u8; 4] = [2, 0, 4, 0];
    out.write_all(&MAGIC.to_le_bytes())?;
    out.write_all(&version)?;
    for word in [0, 0, snap, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    let (mut count, mut size) = (0, 0);
    while let Ok(record) = records.recv() {
        size += 16 + record.bytes.len() as u64;
        if size > FILE_MAX {
            // The queue closes with this end of it, and the workers count what they have as lost.
            break;
        }
        let secs = u32::try_from(record.at.as_secs()).unwrap_or(u32::MAX);
        let held = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
        for word in [secs, record.at.subsec_micros(), held, record.len] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&record.bytes)?;
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(file_name: &str) -> CaptureSpec {
        CaptureSpec {
            rx: true,
            drop: true,
            file_name: file_name.to_owned(),
            ..CaptureSpec::default()
        }
    }

    #[test]
    fn files_stay_in_their_folder() {
        assert_eq!(spec("").path().unwrap(), Path::new("/tmp/rxdrop.pcap"));
        assert_eq!(spec("a.pcap").path().unwrap(), Path::new("/tmp/a.pcap"));
        for name in ["/etc/passwd", "../x", "a/b", ".hidden", "..", "a\0b"] {
            assert!(spec(name).path().is_err(), "{name}");
        }
    }

    #[test]
    fn a_planted_link_is_replaced_and_not_followed() {
        let name = format!("weft-pcap-test-{}", std::process::id());
        let (path, victim) = (
            Path::new(FOLDER).join(&name),
            format!("{FOLDER}/{name}-victim"),
        );
        std::fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let running = Running::start(spec(&name)).unwrap();
        let (_, count) = running.finish().unwrap();
        assert_eq!(count, 0);
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(std::fs::read(&path).unwrap().len(), 24);
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&victim).unwrap();
    }
}
