//! The few rtnetlink requests that give the Linux end of a device its name, MAC, MTU, addresses and routes.
//!
//! Synchronous on purpose: a request is made from the short-lived thread that has entered the target network
//! namespace. Only kernel-defined layouts are written here (linux/rtnetlink.h); nothing is unsafe.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const NLMSG_ERROR: u16 = 2;
pub(super) const HEADER_LEN: usize = 16;

const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const IFF_UP: u32 = 1;
/// Up, and with a carrier.
pub(super) const IFF_RUNNING: u32 = 0x40;
const IFA_F_NODAD: u8 = 0x02;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;

/// What a link change sets; `None` leaves a property alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkChange {
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    /// Index of the bridge to join.
    pub master: Option<u32>,
    /// Sets the link administratively up.
    pub up: bool,
}

/// What the kernel says about a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// Interface index in its namespace.
    pub index: u32,
    /// Hardware address, zero when the link has none.
    pub mac: [u8; 6],
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Up, and with a carrier.
    pub is_running: bool,
}

/// A route socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct RouteSocket {
    fd: OwnedFd,
    sequence: u32,
}

impl RouteSocket {
    /// Opens the socket.
    pub fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Finds a link by name.
    pub fn link(&mut self, name: &str) -> io::Result<LinkInfo> {
        let mut request = Request::new(RTM_GETLINK, 0, &link_message(0, 0, 0));
        request.attribute(IFLA_IFNAME, &c_string(name));
        self.exchange(request)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Changes properties of a link.
    pub fn change_link(&mut self, index: u32, change: LinkChange) -> io::Result<()> {
        let up = if change.up { IFF_UP } else { 0 };
        let mut request = Request::new(RTM_NEWLINK, NLM_F_ACK, &link_message(index, up, up));
        if let Some(mac) = change.mac {
            request.attribute(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = change.mtu {
            request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
        }
        if let Some(master) = change.master {
            request.attribute(IFLA_MASTER, &master.to_ne_bytes());
        }
        self.exchange(request).map(drop)
    }

    /// Removes a link.
    pub fn delete_link(&mut self, index: u32) -> io::Result<()> {
        self.exchange(Request::new(
            RTM_DELLINK,
            NLM_F_ACK,
            &link_message(index, 0, 0),
        ))
        .map(drop)
    }

    /// Adds or keeps an address. IPv6 addresses are usable at once: the address plan excludes duplicates.
    pub fn add_address(&mut self, index: u32, address: IpAddr, len: u8) -> io::Result<()> {
        let (family, bytes) = address_bytes(address);
        let flags = if address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let mut body = vec![family, len, flags, RT_SCOPE_UNIVERSE];
        body.extend_from_slice(&index.to_ne_bytes());
        let mut request =
            Request::new(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &body);
        request.attribute(IFA_LOCAL, &bytes);
        request.attribute(IFA_ADDRESS, &bytes);
        self.exchange(request).map(drop)
    }

    /// Adds or replaces the default route of the gateway's family; the gateway need not be in a connected prefix.
    pub fn add_default_route(&mut self, index: u32, gateway: IpAddr) -> io::Result<()> {
        let (family, bytes) = address_bytes(gateway);
        let mut body = vec![
            family,
            0,
            0,
            0,
            RT_TABLE_MAIN,
            RTPROT_STATIC,
            RT_SCOPE_UNIVERSE,
            RTN_UNICAST,
        ];
        body.extend_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
        let mut request = Request::new(
            RTM_NEWROUTE,
            NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
            &body,
        );
        request.attribute(RTA_GATEWAY, &bytes);
        request.attribute(RTA_OIF, &index.to_ne_bytes());
        self.exchange(request).map(drop)
    }

    /// Sends one request and reads its answer: an acknowledgement, an error, or one link.
    fn exchange(&mut self, mut request: Request) -> io::Result<Option<LinkInfo>> {
        self.sequence += 1;
        send(
            self.fd.as_raw_fd(),
            request.finish(self.sequence),
            MsgFlags::empty(),
        )?;
        let mut buffer = [0u8; 16384];
        loop {
            let len = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let message = buffer.get(..len).unwrap_or_default();
            let kind = u16_at(message, 4);
            if u32_at(message, 8) != self.sequence {
                continue;
            }
            return match kind {
                NLMSG_ERROR => match u32_at(message, HEADER_LEN).cast_signed() {
                    0 => Ok(None),
                    errno => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
                },
                RTM_NEWLINK => Ok(Some(parse_link(message))),
                _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
            };
        }
    }
}

/// Reads a numeric property of an already received link message.
fn parse_link(message: &[u8]) -> LinkInfo {
    let mut link = LinkInfo {
        index: u32_at(message, HEADER_LEN + 4),
        is_running: u32_at(message, HEADER_LEN + 8) & IFF_RUNNING != 0,
        ..LinkInfo::default()
    };
    let mut rest = message.get(HEADER_LEN + 16..).unwrap_or_default();
    while rest.len() >= 4 {
        let len = usize::from(u16_at(rest, 0));
        let Some(value) = rest.get(4..len) else { break };
        match u16_at(rest, 2) {
            IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            IFLA_MTU => link.mtu = u32_at(value, 0),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    link
}

/// One request under construction: header, fixed body, attributes.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0u8; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0u8; 8]);
        bytes.extend_from_slice(body);
        Self { bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(&mut self, sequence: u32) -> &[u8] {
        let len = u32::try_from(self.bytes.len())
            .unwrap_or(u32::MAX)
            .to_ne_bytes();
        for (at, value) in len.into_iter().enumerate() {
            self.bytes[at] = value;
        }
        for (at, value) in sequence.to_ne_bytes().into_iter().enumerate() {
            self.bytes[8 + at] = value;
        }
        &self.bytes
    }
}

fn link_message(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0u8; 4];
    for value in [index, flags, change] {
        body.extend_from_slice(&value.to_ne_bytes());
    }
    body
}

fn address_bytes(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (2, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10, v6.octets().to_vec()),
    }
}

fn c_string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}
