//! Types shared by all that name addresses; the standard library's stand for the plain ones.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::describe::{AliasInfo, Describe, Field, Item, TypeInfo};
use crate::dsl::api;
use crate::wire::Wire;

api! {
    module ip_types("3.0.0" 0xfee023ed) imports [];

    /// Address family.
    enum AddressFamily("address_family" u8) {
        Ip4 = 0 "ADDRESS_IP4",
        Ip6 = 1 "ADDRESS_IP6",
    }

    /// Where in the IP path.
    enum IpFeatureLocation("ip_feature_location" u8) {
        Input = 0 "IP_API_FEATURE_INPUT",
        Output = 1 "IP_API_FEATURE_OUTPUT",
        Local = 2 "IP_API_FEATURE_LOCAL",
        Punt = 3 "IP_API_FEATURE_PUNT",
        Drop = 4 "IP_API_FEATURE_DROP",
    }

    /// Congestion notification.
    enum IpEcn("ip_ecn" u8) {
        None = 0 "IP_API_ECN_NONE",
        Ect0 = 1 "IP_API_ECN_ECT0",
        Ect1 = 2 "IP_API_ECN_ECT1",
        Ce = 3 "IP_API_ECN_CE",
    }

    /// Differentiated services code point.
    enum IpDscp("ip_dscp" u8) {
        Cs0 = 0 "IP_API_DSCP_CS0",
        Cs1 = 8 "IP_API_DSCP_CS1",
        Af11 = 10 "IP_API_DSCP_AF11",
        Af12 = 12 "IP_API_DSCP_AF12",
        Af13 = 14 "IP_API_DSCP_AF13",
        Cs2 = 16 "IP_API_DSCP_CS2",
        Af21 = 18 "IP_API_DSCP_AF21",
        Af22 = 20 "IP_API_DSCP_AF22",
        Af23 = 22 "IP_API_DSCP_AF23",
        Cs3 = 24 "IP_API_DSCP_CS3",
        Af31 = 26 "IP_API_DSCP_AF31",
        Af32 = 28 "IP_API_DSCP_AF32",
        Af33 = 30 "IP_API_DSCP_AF33",
        Cs4 = 32 "IP_API_DSCP_CS4",
        Af41 = 34 "IP_API_DSCP_AF41",
        Af42 = 36 "IP_API_DSCP_AF42",
        Af43 = 38 "IP_API_DSCP_AF43",
        Cs5 = 40 "IP_API_DSCP_CS5",
        Ef = 46 "IP_API_DSCP_EF",
        Cs6 = 48 "IP_API_DSCP_CS6",
        Cs7 = 50 "IP_API_DSCP_CS7",
    }

    /// IP protocol number.
    enum IpProto("ip_proto" u8) {
        Hopopt = 0 "IP_API_PROTO_HOPOPT",
        Icmp = 1 "IP_API_PROTO_ICMP",
        Igmp = 2 "IP_API_PROTO_IGMP",
        Tcp = 6 "IP_API_PROTO_TCP",
        Udp = 17 "IP_API_PROTO_UDP",
        Gre = 47 "IP_API_PROTO_GRE",
        Esp = 50 "IP_API_PROTO_ESP",
        Ah = 51 "IP_API_PROTO_AH",
        Icmp6 = 58 "IP_API_PROTO_ICMP6",
        Eigrp = 88 "IP_API_PROTO_EIGRP",
        Ospf = 89 "IP_API_PROTO_OSPF",
        Sctp = 132 "IP_API_PROTO_SCTP",
        Reserved = 255 "IP_API_PROTO_RESERVED",
    }

    native Ipv4Addr() {}

    native Ipv6Addr() {}

    /// An address and the length of its subnet.
    #[derive(Eq, Hash)]
    alias AddressWithPrefix("address_with_prefix" Prefix) {}

    /// An IPv4 address and the length of its subnet.
    #[derive(Eq, Hash)]
    alias Ip4AddressWithPrefix("ip4_address_with_prefix" Ip4Prefix) {}

    /// An IPv6 address and the length of its subnet.
    #[derive(Eq, Hash)]
    alias Ip6AddressWithPrefix("ip6_address_with_prefix" Ip6Prefix) {}

    /// Sixteen bytes of either family; IPv4 uses the first four.
    #[derive(Hash)]
    union AddressUnion("address_union" 16) { ip4: Ipv4Addr, ip6: Ipv6Addr }

    native IpAddr() {}

    /// A prefix of either family.
    #[derive(Copy, Eq, Hash, PartialOrd, Ord)]
    struct Prefix("prefix") { address: IpAddr, len: u8 }

    /// An IPv4 address and mask.
    #[derive(Copy, Eq, Hash)]
    struct Ip4AddressAndMask("ip4_address_and_mask") { addr: Ipv4Addr, mask: Ipv4Addr }

    /// An IPv6 address and mask.
    #[derive(Copy, Eq, Hash)]
    struct Ip6AddressAndMask("ip6_address_and_mask") { addr: Ipv6Addr, mask: Ipv6Addr }

    /// A multicast group with its source.
    #[derive(Copy, Eq, Hash)]
    struct Mprefix("mprefix") {
        af: AddressFamily,
        grp_address_length: u16,
        grp_address: AddressUnion,
        src_address: AddressUnion,
    }

    /// An IPv6 prefix.
    #[derive(Copy, Eq, Hash)]
    struct Ip6Prefix("ip6_prefix") { address: Ipv6Addr, len: u8 }

    /// An IPv4 prefix.
    #[derive(Copy, Eq, Hash)]
    struct Ip4Prefix("ip4_prefix") { address: Ipv4Addr, len: u8 }

    /// Bounds on a prefix length.
    #[derive(Copy, Eq, Hash)]
    struct PrefixMatcher("prefix_matcher") { le: u8, ge: u8 }
}

impl Describe for Ipv4Addr {
    const ITEM: Item = Item::Alias(AliasInfo {
        name: "ip4_address",
        base: <[u8; 4] as Wire>::SHAPE,
    });
}

impl Describe for Ipv6Addr {
    const ITEM: Item = Item::Alias(AliasInfo {
        name: "ip6_address",
        base: <[u8; 16] as Wire>::SHAPE,
    });
}

impl Describe for IpAddr {
    const ITEM: Item = Item::Struct(TypeInfo {
        name: "address",
        fields: &[
            Field {
                name: "af",
                shape: AddressFamily::SHAPE,
                default: None,
            },
            Field {
                name: "un",
                shape: AddressUnion::SHAPE,
                default: None,
            },
        ],
    });
}

impl From<IpAddr> for AddressFamily {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }
}

impl From<IpAddr> for AddressUnion {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                Self([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(ip) => Self(ip.octets()),
        }
    }
}

impl Prefix {
    /// Pairs an address with a length; neither is checked.
    #[must_use]
    pub const fn new(address: IpAddr, len: u8) -> Self {
        Self { address, len }
    }

    /// Returns the prefix of exactly one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            len: if address.is_ipv4() { 32 } else { 128 },
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl fmt::Display for AddressWithPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
