//! The control socket: sequenced packets of 128 bytes, each with at most one file descriptor. Never blocks.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
        sendmsg, socket_with,
    },
};

use crate::{
    address::Address,
    error::{DisconnectReason, ProtocolError},
    proto::{MESSAGE_SIZE, Message},
};

/// Messages taken from one connection before others get their turn.
pub(crate) const MESSAGES_PER_TURN: usize = 64;

/// One connection.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// What came in.
pub(crate) struct Received {
    pub(crate) bytes: [u8; MESSAGE_SIZE],
    pub(crate) fd: Option<OwnedFd>,
}

impl Socket {
    pub(crate) const fn accepted(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Connects, which a listening UNIX socket with room in its backlog grants at once.
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        let fd = unconnected()?;
        rustix::net::connect(&fd, &address.to_unix()?)?;
        Ok(Self(fd))
    }

    /// Sends a message. The kernel's queue holds many; a peer that lets it fill up is broken.
    pub(crate) fn send(&self, message: &Message, fd: Option<&OwnedFd>) -> io::Result<()> {
        let bytes = message.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd.map_or_else(|| self.0.as_fd(), AsFd::as_fd)];
        if fd.is_some() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags) {
                Ok(MESSAGE_SIZE) => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message, nothing if none has come yet. Surplus file descriptors are closed, not kept.
    pub(crate) fn receive(&self) -> Result<Option<Received>, DisconnectReason> {
        let mut bytes = [0; MESSAGE_SIZE];
        // The kernel installs what fits here and no more; one slot over, to tell one from many.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let result = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        );
        let message = match result {
            Ok(message) => message,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(Errno::CONNRESET) => return Err(DisconnectReason::PeerClosed),
            Err(error) => return Err(DisconnectReason::Transport(error.kind())),
        };
        let mut fds = control
            .drain()
            .filter_map(|message| {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    Some(fds)
                } else {
                    None
                }
            })
            .flatten();
        let fd = fds.next();
        if fds.next().is_some() || message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(ProtocolError::TooManyFds.into());
        }
        match message.bytes {
            0 => Err(DisconnectReason::PeerClosed),
            MESSAGE_SIZE => Ok(Some(Received { bytes, fd })),
            // MSG_TRUNC makes the kernel report the real size of longer packets.
            other => Err(ProtocolError::MessageSize(other).into()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket of the right kind.
pub(crate) fn unconnected() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}
