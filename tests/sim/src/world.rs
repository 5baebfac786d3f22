//! The fixed part of every generated world: its interfaces, and the addresses that things in it may have.
//!
//! Interface 0 is `local0`. Devices 1 to 5 are ports, device 6 is the uplink below the tunnels, 7 and 8 are loopbacks,
//! 9 and 10 are VXLAN tunnels over IPv4 and IPv6. Every interface has address pools of its own, so that connected
//! prefixes never overlap between interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vswitch::{Family, Prefix};

use crate::wire::Mac;

/// An interface by its index.
pub type If = u32;

pub const UPLINK: If = 6;
pub const LOOPBACKS: [If; 2] = [7, 8];
pub const TUNNELS: [If; 2] = [9, 10];
/// All interfaces of the world; the first [`UPLINK`] are devices.
pub const INTERFACES: std::ops::RangeInclusive<If> = 1..=10;
pub const DEVICES: std::ops::RangeInclusive<If> = 1..=UPLINK;

/// Tables of either family.
pub const TABLES: [u32; 3] = [0, 1, UNDERLAY];
/// The table of the uplink and the tunnels' outer packets.
pub const UNDERLAY: u32 = 2;
pub const BRIDGES: [u32; 2] = [11, 12];
pub const DEVICE_MTU: u16 = 1500;
pub const VNIS: [u32; 2] = [1010, 1011];

pub fn mac_of(on: If) -> Mac {
    [2, 0, 0, 0, 0, small(on)]
}

/// MAC of host `n` behind an interface.
pub fn host_mac(on: If, n: u8) -> Mac {
    [2, 0xaa, 0, 0, small(on), n]
}

/// Address of host `n` in the connected prefix of an interface.
pub fn host(on: If, n: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, small(on), 0, 10 + n).into(),
        Family::V6 => v6([0xfd00, u16::from(small(on)), 10 + u16::from(n)]),
    }
}

/// Addresses that an interface may have: two in one prefix, one in another, one of IPv6.
pub fn own_addresses(on: If) -> [Prefix; 4] {
    let v4 = |c, d, len| Prefix {
        addr: Ipv4Addr::new(10, small(on), c, d).into(),
        len,
    };
    [
        v4(0, 1, 24),
        v4(0, 2, 24),
        v4(1, 1, 25),
        Prefix {
            addr: v6([0xfd00, u16::from(small(on)), 1]),
            len: 64,
        },
    ]
}

/// Own and peer's address of a tunnel.
pub fn tunnel_ends(tunnel: usize) -> (IpAddr, IpAddr) {
    match tunnel {
        0 => (
            Ipv4Addr::new(172, 16, 0, 1).into(),
            Ipv4Addr::new(172, 16, 0, 2).into(),
        ),
        _ => (v6([0xfd16, 0, 1]), v6([0xfd16, 0, 2])),
    }
}

/// MAC of the other end of both tunnels.
pub const PEER_MAC: Mac = [2, 0xbb, 0, 0, 0, 1];

pub fn v6([a, b, z]: [u16; 3]) -> IpAddr {
    Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, z).into()
}

/// The link-local address that follows from a MAC (RFC 4291, appendix A).
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let word = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        word(a ^ 2, b),
        word(c, 0xff),
        word(0xfe, d),
        word(e, f),
    )
}

fn small(on: If) -> u8 {
    u8::try_from(on).expect("few interfaces")
}
