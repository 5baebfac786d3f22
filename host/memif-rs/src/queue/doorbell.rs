//! The eventfd of a ring. Rung and read without ever blocking, whatever the peer does to its copy of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
};

#[derive(Debug)]
pub(crate) struct Doorbell(OwnedFd);

impl Doorbell {
    pub(crate) const fn own(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Takes what the peer sent as an eventfd, if it is one: writing to a pipe or a file of the peer's could block us.
    pub(crate) fn of_peer(fd: OwnedFd) -> Option<Self> {
        if !is_eventfd(&fd) {
            return None;
        }
        let flags = fcntl_getfl(&fd).ok()?;
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK).ok()?;
        Some(Self(fd))
    }

    /// Wakes the receiver. A full counter means that it has not even read the last wake-up.
    pub(crate) fn ring(&self) {
        if self.ready(PollFlags::OUT) {
            let _woken_already = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }

    /// Takes the wake-ups so far.
    pub(crate) fn drain(&self) {
        if self.ready(PollFlags::IN) {
            let mut count = [0; 8];
            let _none_left = rustix::io::read(&self.0, &mut count);
        }
    }

    /// The peer shares the file and may make it blocking again at any time, so ask first.
    fn ready(&self, what: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.0, what)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).is_ok_and(|count| count == 1)
            && fds.iter().all(|fd| fd.revents().contains(what))
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Where `/proc` is not mounted nothing can be said against the descriptor.
fn is_eventfd(fd: &OwnedFd) -> bool {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    std::fs::read_link(link).map_or(true, |target| {
        target
            .to_str()
            .is_some_and(|target| target.starts_with("anon_inode:[eventfd]"))
    })
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    #[test]
    fn saturated_blocking_eventfd_of_the_peer_does_not_block() {
        let fd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let peer = fd.try_clone().unwrap();
        let bell = Doorbell::of_peer(fd).unwrap();
        rustix::io::write(&peer, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        let flags = fcntl_getfl(&peer).unwrap();
        fcntl_setfl(&peer, flags - OFlags::NONBLOCK).unwrap();
        bell.ring();
        bell.drain();
        bell.drain();
    }

    #[test]
    fn file_that_is_no_eventfd_is_refused() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Doorbell::of_peer(socket.into()).is_none());
        assert!(Doorbell::of_peer(std::fs::File::open("/dev/null").unwrap().into()).is_none());
    }
}
