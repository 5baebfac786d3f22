//! The nodes and the reasons for a drop, with the names that operators see.

use std::fmt;

macro_rules! named {
    ($(#[$meta:meta])* $kind:ident { $($name:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $($name,)* }

        impl $kind {
            /// All values in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name that operators see.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// The nodes, in the order in which waiting ones run.
    NodeId {
        EthernetInput = "ethernet-input",
        L2Input = "l2-input",
        ArpInput = "arp-input",
        Ip4Input = "ip4-input",
        Ip6Input = "ip6-input",
        Ip4Reassembly = "ip4-full-reassembly-feature",
        Ip6Reassembly = "ip6-full-reassembly-feature",
        UrpfInput = "ip-rx-urpf",
        AclInput = "acl-plugin-in-fa",
        L2InputAcl = "l2-input-acl",
        L2Learn = "l2-learn",
        L2Fwd = "l2-fwd",
        ArpTerm = "arp-term-l2bd",
        L2Flood = "l2-flood",
        CnatInput4 = "cnat-input-ip4",
        CnatInput6 = "cnat-input-ip6",
        NpolInput = "npol-input",
        FunctionInput = "weft-function-input",
        AbfInput = "abf-input",
        Ip4Inacl = "ip4-inacl",
        Ip6Inacl = "ip6-inacl",
        Ip4Lookup = "ip4-lookup",
        Ip6Lookup = "ip6-lookup",
        CnatReturn4 = "ip4-cnat-return",
        CnatReturn6 = "ip6-cnat-return",
        Ip4Local = "ip4-local",
        Ip6Local = "ip6-local",
        Ip4IcmpInput = "ip4-icmp-input",
        Ip6IcmpInput = "ip6-icmp-input",
        VxlanInput = "vxlan-input",
        IpipInput = "ipip-input",
        SrLocalsid = "sr-localsid",
        SrLocalsidUn = "sr-localsid-un",
        SrLocalsidD = "sr-localsid-d",
        SrProxyLocalsid = "srv6-proxy-localsid",
        SrProxyRewrite = "srv6-proxy-rewrite",
        SrReplicate = "ip6-replicate",
        SrEncaps = "sr-pl-rewrite-encaps",
        SrEncapsL2 = "sr-pl-rewrite-encaps-l2",
        SrInsert = "sr-pl-rewrite-insert",
        Ip4Rewrite = "ip4-rewrite",
        Ip6Rewrite = "ip6-rewrite",
        Ip4Frag = "ip4-frag",
        Ip6Frag = "ip6-frag",
        Ip4IcmpError = "ip4-icmp-error",
        Ip6IcmpError = "ip6-icmp-error",
        Ip4Arp = "ip4-arp",
        Ip6DiscoverNeighbor = "ip6-discover-neighbor",
        NpolOutput = "npol-output",
        FunctionOutput = "weft-function-output",
        CnatOutput4 = "cnat-output-ip4",
        CnatOutput6 = "cnat-output-ip6",
        UrpfOutput = "ip-tx-urpf",
        InterfaceOutput = "interface-output",
        AclOutput = "acl-plugin-out-fa",
        InterfaceTx = "interface-tx",
        VxlanEncap = "vxlan-encap",
        IpipEncap = "tunnel-output",
    }
}

/// Number of nodes.
pub const NODES: usize = NodeId::COUNT;

named! {
    /// Why a packet was dropped.
    DropReason {
        InterfaceDown = "interface is down",
        NoInterface = "interface deleted",
        Truncated = "packet too short",
        Loop = "packet loops through tunnels or bridges",
        NoHeadroom = "no room for encapsulation",
        NoBuffers = "no free frames",
        MacMismatch = "l3 mac mismatch",
        UnknownEthertype = "unknown ethernet type",
        UnknownVlan = "unknown vlan",
        VlanRewrite = "vlan tags do not fit the rewrite of the interface",
        IpDisabled = "ip protocol not enabled on the interface",
        SourceMulticast = "source mac is multicast",
        L2Reflection = "l2 reflection: output is the input interface",
        L2SplitHorizon = "l2 split horizon",
        L2Filter = "l2 filter mac",
        L2NoForward = "l2 forwarding or flooding disabled",
        L2NoMembers = "l2 flood: no member to send to",
        AclDeny = "ACL deny packets",
        InaclSessionDeny = "input ACL session deny drops",
        InaclTableMiss = "input ACL table-miss drops",
        NpolDeny = "npol: denied by policy",
        FunctionDrop = "function: verdict is to drop",
        FunctionFault = "function: it failed and is fail-closed",
        FunctionNonsense = "function: verdict makes no sense",
        FunctionTooLong = "function: packet is longer than it takes",
        FlowsFull = "flow table is full",
        BadVersion = "ip header malformed",
        BadChecksum = "bad ip checksum",
        BadLength = "ip length > l2 length",
        BadSource = "ip source address invalid",
        TtlExpired = "ttl <= 1",
        Multicast = "ip multicast not supported",
        LinkLocal = "ip6 link-local destination is not ours",
        NoRoute = "no route to destination",
        RouteDrop = "route says drop",
        RecursionLimit = "too many recursive lookups",
        Unreachable = "destination unreachable",
        Prohibited = "destination prohibited",
        MtuExceeded = "packet exceeds the mtu of the output interface",
        NoAdjacency = "adjacency deleted",
        ArpSent = "ARP requests sent",
        NdSent = "neighbor solicitations sent",
        ResolveThrottled = "resolution requests throttled",
        NoSourceAddress = "no source address for the output interface",
        PointToPointUnresolved = "no resolution on this kind of link",
        ArpBad = "ARP packet malformed",
        ArpNotLocal = "ARP target is not ours",
        ArpReplyLearned = "ARP replies received",
        NdBad = "neighbor discovery packet malformed",
        NdNotLocal = "neighbor solicitation target is not ours",
        NdAdvertReceived = "neighbor advertisements received",
        IcmpUnknown = "icmp type not handled",
        IcmpErrorThrottled = "icmp errors throttled",
        IcmpErrorSuppressed = "icmp error not allowed for this packet",
        UnknownProtocol = "unknown ip protocol",
        Fragment = "fragments for this host are not reassembled",
        FragmentMalformed = "fragment malformed",
        FragmentOverlap = "fragments overlap",
        FragmentDuplicate = "fragment received twice",
        ReassemblyLimit = "too many fragments or packets to reassemble",
        IpipNoTunnel = "no such ipip tunnel",
        UrpfFailed = "uRPF check failed",
        VxlanBad = "vxlan header malformed",
        VxlanNoTunnel = "no such vxlan tunnel",
        OffloadConflict = "pending offload cannot cross a tunnel",
        SrNoInner = "(SR-Error) No inner IP header",
        SrNoSegments = "(SR-Error) No more segments",
        SrNoHeader = "(SR-Error) No SR header",
        SrSegmentsLeft = "(SR-Error) Decaps not available (segments left > 0)",
        SrNoFrame = "(SR-Error) SRv6 decapsulated a L2 frame without dest",
        SrBsid = "BSID with SL = 0",
        SrMalformed = "segment routing header malformed",
        SrTooLong = "segment routing header cut off or longer than the head of a frame",
        SrGone = "segment routing policy, table or interface is gone",
        SrProxyNoRewrite = "(Error) No header for rewriting.",
        SrProxyInner = "inner packet is not of the proxy's kind",
        LoopbackTx = "loopback has no bridge to send to",
        CnatNoPort = "no more free ports",
        CnatNoSession = "session allocation failure",
        CnatUnknownSession = "unknown session",
        CnatBusy = "session table busy",
        CnatNoBackend = "no active backend",
        CnatNoSource = "no source address for translation",
        CnatFragment = "fragment cannot be translated",
    }
}
