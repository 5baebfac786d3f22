//! IP protocol numbers that this project names.

/// IPv6 hop-by-hop options.
pub const HOPOPT: u8 = 0;
/// ICMP for IPv4.
pub const ICMP: u8 = 1;
/// IPv4 inside IP.
pub const IPIP: u8 = 4;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// IPv6 inside IP.
pub const IPV6: u8 = 41;
/// IPv6 routing header.
pub const ROUTING: u8 = 43;
/// IPv6 fragment header.
pub const FRAGMENT: u8 = 44;
/// IPsec authentication header.
pub const AH: u8 = 51;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// IPv6 "no next header".
pub const NO_NEXT: u8 = 59;
/// IPv6 destination options.
pub const DSTOPTS: u8 = 60;
/// Ethernet in IP (RFC 8986, section 9).
pub const ETHERNET: u8 = 143;
/// SCTP.
pub const SCTP: u8 = 132;
