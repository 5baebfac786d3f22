//! The objects of a dataplane, named so that they are found again after a restart.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{MacAddr, PortRange};

/// Objects by key.
pub type Objects = BTreeMap<Key, Object>;

/// Every tag that we give begins with this; what has another is not ours.
pub const TAG_PREFIX: &str = "weft/";

/// Longest tag that VPP keeps.
pub const TAG_LEN_MAX: usize = 63;

/// Identity of an interface: the tag that it carries in the dataplane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfTag(String);

/// Identity of an access list: the tag that it carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclTag(String);

macro_rules! tag {
    ($Name:ident) => {
        impl $Name {
            /// Names an object of ours: `weft/<name>`.
            pub fn new(name: &str) -> Self {
                Self(format!("{TAG_PREFIX}{name}"))
            }

            /// Recognises a tag of ours in a read-back.
            pub fn parse(tag: &str) -> Option<Self> {
                tag.starts_with(TAG_PREFIX).then(|| Self(tag.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
tag!(IfTag);
tag!(AclTag);

/// Identity of an object. The order of the kinds is the order in which they can be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A memif control socket, by its number.
    MemifSocket(u32),
    Acl(AclTag),
    Interface(IfTag),
    /// A bridge domain, by its number.
    Bridge(u32),
    /// What L2 does with what an interface receives.
    L2(IfTag),
    /// The interface borrows the addresses of another.
    Unnumbered(IfTag),
    Address(IfTag, IpNet),
    Neighbour(IfTag, IpAddr),
    /// A static entry of a bridge domain's MAC table.
    MacEntry(u32, MacAddr),
    /// A route of the main table.
    Route(IpNet),
    /// An access list on what an interface receives.
    AclBinding(IfTag, AclTag),
    /// ACL-based forwarding, by the policy's number.
    Policy(u32),
    PolicyBinding(u32, IfTag),
}

/// What an object should be or is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    MemifSocket {
        path: String,
    },
    Acl {
        rules: Vec<AclRule>,
    },
    Interface {
        device: Device,
        /// Administratively up.
        up: bool,
        /// It carries its tag (an agent may have died between making and tagging it).
        tagged: bool,
    },
    /// A bridge domain that forwards by its static entries alone: nothing is learned or flooded.
    Bridge {
        tag: String,
    },
    L2(L2),
    Unnumbered {
        lender: IfTag,
    },
    Address,
    Neighbour {
        mac: MacAddr,
    },
    MacEntry {
        interface: IfTag,
    },
    Route {
        next_hop: IpAddr,
        interface: IfTag,
    },
    AclBinding,
    Policy {
        acl: AclTag,
        next_hop: IpAddr,
        interface: IfTag,
    },
    PolicyBinding {
        priority: u32,
        is_ipv6: bool,
    },
}

/// How an interface is made. Two interfaces with equal devices are the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    Loopback {
        instance: u32,
        mac: MacAddr,
    },
    /// A tap whose Linux side is in a namespace.
    Tap {
        netns: String,
        host_name: String,
        host_mac: MacAddr,
        mac: MacAddr,
        mtu: u16,
    },
    /// A memif; the master listens.
    Memif {
        socket: u32,
        id: u32,
        is_master: bool,
        mac: MacAddr,
    },
    AfPacket {
        host_name: String,
        mac: MacAddr,
    },
    Vxlan {
        src: IpAddr,
        dst: IpAddr,
        vni: u32,
    },
}

/// What L2 does with an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum L2 {
    /// Member of a bridge domain; members of one split-horizon group other than 0 do not talk.
    Bridge { id: u32, is_bvi: bool, group: u8 },
    /// All that comes in goes out there.
    Xconnect { to: IfTag },
}

/// A rule of an access list; the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRule {
    pub permit: bool,
    pub src: IpNet,
    pub dst: IpNet,
    /// 0 is any.
    pub protocol: u8,
    pub src_ports: PortRange,
    pub dst_ports: PortRange,
}

impl Object {
    /// An interface as it should be.
    pub fn interface(device: Device) -> Self {
        Self::Interface {
            device,
            up: true,
            tagged: true,
        }
    }

    /// The objects that must be there before this one (under `key`) can be.
    pub fn needs(&self, key: &Key) -> Vec<Key> {
        let interface = |tag: &IfTag| Key::Interface(tag.clone());
        let mut needs = match key {
            Key::L2(tag)
            | Key::Unnumbered(tag)
            | Key::Address(tag, _)
            | Key::Neighbour(tag, _)
            | Key::PolicyBinding(_, tag) => vec![interface(tag)],
            Key::AclBinding(tag, acl) => vec![interface(tag), Key::Acl(acl.clone())],
            Key::MacEntry(bridge, _) => vec![Key::Bridge(*bridge)],
            Key::MemifSocket(_)
            | Key::Acl(_)
            | Key::Interface(_)
            | Key::Bridge(_)
            | Key::Route(_)
            | Key::Policy(_) => Vec::new(),
        };
        if let Key::PolicyBinding(policy, _) = key {
            needs.push(Key::Policy(*policy));
        }
        match self {
            Self::Interface {
                device: Device::Memif { socket, .. },
                ..
            } => needs.push(Key::MemifSocket(*socket)),
            Self::L2(L2::Bridge { id, .. }) => needs.push(Key::Bridge(*id)),
            Self::L2(L2::Xconnect { to }) => needs.push(interface(to)),
            Self::Unnumbered { lender } => needs.push(interface(lender)),
            Self::MacEntry { interface: tag } => {
                needs.extend([interface(tag), Key::L2(tag.clone())]);
            }
            Self::Route { interface: tag, .. } => needs.push(interface(tag)),
            Self::Policy {
                acl,
                interface: tag,
                ..
            } => needs.extend([Key::Acl(acl.clone()), interface(tag)]),
            Self::MemifSocket { .. }
            | Self::Acl { .. }
            | Self::Interface { .. }
            | Self::Bridge { .. }
            | Self::Address
            | Self::Neighbour { .. }
            | Self::AclBinding
            | Self::PolicyBinding { .. } => {}
        }
        needs
    }

    /// Whether the dataplane can change `self` into `target` in place. A member of a bridge domain
    /// cannot: as it leaves, its MAC entries go too.
    pub fn can_become(&self, target: &Self) -> bool {
        match (self, target) {
            (Self::Interface { device, .. }, Self::Interface { device: wanted, .. }) => {
                device == wanted
            }
            (Self::Acl { .. }, Self::Acl { .. })
            | (Self::L2(L2::Xconnect { .. }), Self::L2(L2::Xconnect { .. }))
            | (Self::Neighbour { .. }, Self::Neighbour { .. })
            | (Self::MacEntry { .. }, Self::MacEntry { .. })
            | (Self::Route { .. }, Self::Route { .. }) => true,
            _ => self == target,
        }
    }
}
