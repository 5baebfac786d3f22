//! News about Linux links: carrier found and lost, links that go and come.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use super::netlink::{
    HEADER_LEN, IFF_RUNNING, IFLA_IFNAME, RTM_DELLINK, RTM_NEWLINK, u16_at, u32_at,
};

/// Multicast group of link news (linux/rtnetlink.h, `RTMGRP_LINK`).
const GROUP_LINK: u32 = 1;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNews {
    /// Index of the link in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up and has a carrier.
    pub is_running: bool,
    /// Whether it is gone.
    pub is_gone: bool,
}

/// A subscription to the links of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct LinkMonitor {
    fd: OwnedFd,
}

impl LinkMonitor {
    /// Subscribes.
    pub fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUP_LINK))?;
        Ok(Self { fd })
    }

    /// Waits for news. An overrun gives none: what was missed is in the next news of the link.
    pub fn wait(&self) -> io::Result<Vec<LinkNews>> {
        let mut buffer = [0u8; 16384];
        let len = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(len) => len,
            Err(Errno::ENOBUFS | Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        Ok(parse(buffer.get(..len).unwrap_or_default()))
    }
}

/// Reads the messages of one datagram.
fn parse(mut messages: &[u8]) -> Vec<LinkNews> {
    let mut news = Vec::new();
    while messages.len() >= HEADER_LEN {
        let len = u32_at(messages, 0) as usize;
        let Some(message) = messages.get(..len).filter(|m| m.len() >= HEADER_LEN) else {
            break;
        };
        let kind = u16_at(message, 4);
        if kind == RTM_NEWLINK || kind == RTM_DELLINK {
            news.push(LinkNews {
                index: u32_at(message, HEADER_LEN + 4),
                name: name(message),
                is_running: u32_at(message, HEADER_LEN + 8) & IFF_RUNNING != 0,
                is_gone: kind == RTM_DELLINK,
            });
        }
        messages = messages.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    news
}

fn name(message: &[u8]) -> String {
    let mut rest = message.get(HEADER_LEN + 16..).unwrap_or_default();
    while rest.len() >= 4 {
        let len = usize::from(u16_at(rest, 0));
        let Some(value) = rest.get(4..len) else { break };
        if u16_at(rest, 2) == IFLA_IFNAME {
            let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
            return String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned();
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link message with a name.
    fn message(kind: u16, index: u32, flags: u32, name: &str) -> Vec<u8> {
        let mut out = vec![0; HEADER_LEN + 16];
        out[4..6].copy_from_slice(&kind.to_ne_bytes());
        out[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&index.to_ne_bytes());
        out[HEADER_LEN + 8..HEADER_LEN + 12].copy_from_slice(&flags.to_ne_bytes());
        let len = u16::try_from(5 + name.len()).unwrap();
        out.extend(len.to_ne_bytes());
        out.extend(IFLA_IFNAME.to_ne_bytes());
        out.extend(name.bytes());
        out.push(0);
        let len = u32::try_from(out.len()).unwrap();
        out[..4].copy_from_slice(&len.to_ne_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn several_messages_of_one_datagram_are_read_and_garbage_ends_them() {
        let mut bytes = message(RTM_NEWLINK, 7, IFF_RUNNING | 1, "up0");
        bytes.extend(message(RTM_DELLINK, 8, 0, "eth12"));
        bytes.extend([9; 11]);
        let news = parse(&bytes);
        let told: Vec<_> = news
            .iter()
            .map(|n| (n.index, n.name.as_str(), n.is_running, n.is_gone))
            .collect();
        assert_eq!(told, [(7, "up0", true, false), (8, "eth12", false, true)]);
        assert!(parse(&[0xff; 40]).is_empty());
    }
}
