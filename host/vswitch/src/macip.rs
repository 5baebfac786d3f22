//! Access lists on source MAC and IP address (VPP's `macip_acl`), as chains of classifier tables.
//!
//! Rules with the same MAC mask, prefix length and family share tables: one for frames without VLAN tag, one for those
//! with one and with two, and for IPv4 the same for ARP, whose sender must be the source. More specific and more used
//! masks come first; within a mask the last rule for an address counts. What no rule knows is denied.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::{MacAddr, ethernet};

use crate::acl::AclAction;
use crate::classify::{Action, HeaderBytes, NEXT_DENY, NONE, SessionSpec, TableSpec};
use crate::id::Family;
use crate::prefix::Prefix;

/// Rules of one list: each mask makes up to six tables.
pub const RULES_MAX: usize = 16_384;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacipRule {
    pub action: AclAction,
    pub mac: MacAddr,
    pub mac_mask: MacAddr,
    pub src: Prefix,
}

/// A list in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacipInfo {
    pub acl_index: u32,
    pub tag: String,
    pub rules: Vec<MacipRule>,
}

/// A table with its sessions; chained to the one planned before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) table: TableSpec,
    pub(crate) sessions: Vec<SessionSpec>,
}

/// What rules that share tables have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mask {
    mac: MacAddr,
    len: u8,
    family: Family,
}

impl Mask {
    const fn of(rule: &MacipRule) -> Self {
        Self {
            mac: rule.mac_mask,
            len: rule.src.len,
            family: rule.src.family(),
        }
    }

    /// Greater is asked first.
    fn rank(&self, rules: usize) -> usize {
        let bits: u32 = self.mac.0.iter().map(|byte| byte.count_ones()).sum();
        let is_v6 = usize::from(self.family == Family::V6);
        usize::from(self.len) + bits as usize + is_v6 + 10 * rules
    }
}

/// What a table looks at.
#[derive(Debug, Clone, Copy)]
struct Shape {
    is_arp: bool,
    /// VLAN tags in front of the packet.
    tags: usize,
    family: Family,
}

impl Shape {
    const fn l3(self) -> usize {
        ethernet::HEADER_LEN + 4 * self.tags
    }

    const fn source(self) -> usize {
        match (self.is_arp, self.family) {
            (true, _) => self.l3() + 14,
            (false, Family::V4) => self.l3() + 12,
            (false, Family::V6) => self.l3() + 8,
        }
    }

    /// Addresses of a frame or a mask, without its types.
    fn addresses(self, mac: MacAddr, ip: IpAddr) -> HeaderBytes {
        let bytes = HeaderBytes::new().with(6, &mac.0);
        let bytes = if self.is_arp {
            bytes.with(self.l3() + 8, &mac.0)
        } else {
            bytes
        };
        bytes.with_ip(self.source(), ip)
    }

    fn mask(self, of: &Mask) -> Vec<u8> {
        let ones: IpAddr = match self.family {
            Family::V4 => Ipv4Addr::BROADCAST.into(),
            Family::V6 => Ipv6Addr::from_bits(u128::MAX).into(),
        };
        let net = Prefix {
            addr: ones,
            len: of.len,
        };
        let bytes = self.addresses(of.mac, net.masked().addr);
        let types = (0..=self.tags).map(|tag| 12 + 4 * tag);
        let bytes = types.fold(bytes, |bytes, at| bytes.with(at, &[0xff; 2]));
        bytes.vectors(self.source() + usize::from(of.len.div_ceil(8)))
    }

    fn session(self, rule: &MacipRule, len: usize) -> SessionSpec {
        let kind = match (self.is_arp, self.family) {
            (true, _) => ethernet::ARP,
            (false, Family::V4) => ethernet::IPV4,
            (false, Family::V6) => ethernet::IPV6,
        };
        let all = [ethernet::QINQ, ethernet::VLAN, kind];
        let types = all.iter().skip(2 - self.tags);
        let bytes = self.addresses(rule.mac, rule.src.addr);
        let bytes = types.enumerate().fold(bytes, |bytes, (tag, kind)| {
            bytes.with(12 + 4 * tag, &kind.to_be_bytes())
        });
        SessionSpec {
            hit_next: match rule.action {
                AclAction::Deny => 0,
                AclAction::Permit | AclAction::PermitReflect => u16::MAX,
            },
            opaque: 0,
            action: Action::None,
            matched: bytes.vectors(len),
        }
    }
}

/// Plans the tables of a list, the last of the chain first.
pub(crate) fn plan(rules: &[MacipRule]) -> Vec<Planned> {
    let mut masks: Vec<(Mask, usize)> = Vec::new();
    for mask in rules.iter().map(Mask::of) {
        match masks.iter_mut().find(|(known, _)| *known == mask) {
            Some((_, count)) => *count += 1,
            None => masks.push((mask, 1)),
        }
    }
    masks.sort_by_key(|(mask, count)| mask.rank(*count));
    let mut planned = Vec::new();
    for is_arp in [true, false] {
        for (mask, _) in &masks {
            if is_arp && mask.family == Family::V6 {
                continue;
            }
            for tags in [2, 1, 0] {
                let shape = Shape {
                    is_arp,
                    tags,
                    family: mask.family,
                };
                planned.push(table(shape, mask, rules, planned.is_empty()));
            }
        }
    }
    planned
}

fn table(shape: Shape, mask: &Mask, rules: &[MacipRule], is_last: bool) -> Planned {
    let bytes = shape.mask(mask);
    let of_mask = rules.iter().filter(|rule| Mask::of(rule) == *mask);
    let sessions = of_mask.map(|rule| shape.session(rule, bytes.len()));
    Planned {
        sessions: sessions.collect(),
        table: TableSpec {
            buckets: 1,
            skip: 0,
            next_table: NONE,
            miss_next: if is_last { NEXT_DENY } else { NONE },
            from_current: None,
            mask: bytes,
        },
    }
}
