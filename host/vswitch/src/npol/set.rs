//! Sets of addresses, prefixes, or addresses with protocol and port.

use std::net::IpAddr;

use super::Query;
use crate::id::Family;
use crate::persist::PMap;
use crate::prefix::Prefix;

/// What the members of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpSetKind {
    Ip,
    IpAndPort,
    Net,
}

/// A member of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    Ip(IpAddr),
    IpAndPort(IpAddr, u8, u16),
    Net(Prefix),
}

/// A member was given to a set of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the member is not of the kind of this set")]
pub struct NotOfThisKind;

/// A set; a copy shares all that does not change.
#[derive(Debug, Clone)]
pub(crate) struct IpSet {
    kind: IpSetKind,
    members: PMap<Member, ()>,
    /// How many prefixes there are of each length: a search asks once per length that there is.
    lengths4: [u32; 33],
    lengths6: [u32; 129],
}

impl IpSet {
    pub(crate) fn new(kind: IpSetKind) -> Self {
        Self {
            kind,
            members: PMap::default(),
            lengths4: [0; 33],
            lengths6: [0; 129],
        }
    }

    pub(crate) const fn kind(&self) -> IpSetKind {
        self.kind
    }

    pub(crate) const fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        let mut all = Vec::with_capacity(self.members.len());
        self.members.for_each(|member, ()| all.push(*member));
        all.sort_unstable();
        all
    }

    /// Adds or removes a member; doing so twice changes nothing.
    pub(crate) fn set(&mut self, member: Member, is_in: bool) -> Result<(), NotOfThisKind> {
        let member = match (self.kind, member) {
            (IpSetKind::Ip, Member::Ip(_)) | (IpSetKind::IpAndPort, Member::IpAndPort(..)) => {
                member
            }
            (IpSetKind::Net, Member::Net(net)) => Member::Net(net.masked()),
            _ => return Err(NotOfThisKind),
        };
        let changed = if is_in {
            self.members.insert(member, ()).is_none()
        } else {
            self.members.remove(&member).is_some()
        };
        if let Member::Net(net) = member
            && changed
            && let Some(count) = self.lengths_mut(net.family()).get_mut(usize::from(net.len))
        {
            *count = if is_in { *count + 1 } else { *count - 1 };
        }
        Ok(())
    }

    /// Tells whether an address is a member or in one.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        match (self.kind, address) {
            (IpSetKind::Ip, _) => self.members.get(&Member::Ip(address)).is_some(),
            (IpSetKind::Net, _) => self.has_net_of(address),
            (IpSetKind::IpAndPort, _) => false,
        }
    }

    fn has_net_of(&self, address: IpAddr) -> bool {
        let lengths = match Family::of(address) {
            Family::V4 => self.lengths4.as_slice(),
            Family::V6 => self.lengths6.as_slice(),
        };
        (0u8..).zip(lengths).any(|(len, count)| {
            let net = Prefix { addr: address, len };
            *count > 0 && self.members.get(&Member::Net(net.masked())).is_some()
        })
    }

    const fn lengths_mut(&mut self, family: Family) -> &mut [u32] {
        match family {
            Family::V4 => self.lengths4.as_mut_slice(),
            Family::V6 => self.lengths6.as_mut_slice(),
        }
    }

    /// Tells whether one end of a packet is a member, with the packet's protocol.
    pub(crate) fn has_port(&self, address: IpAddr, port: u16, query: &Query) -> bool {
        let member = Member::IpAndPort(address, query.tuple.protocol, port);
        self.kind == IpSetKind::IpAndPort && self.members.get(&member).is_some()
    }
}
