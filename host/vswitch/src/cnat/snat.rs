//! Source NAT: whose flows get another source, and which.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SnatKind;
use crate::fib::Fib;
use crate::id::{Family, SwIfIndex};
use crate::persist::PVec;
use crate::session::{Tuple, number};

/// A set of interfaces.
pub(crate) type Interfaces = PVec<()>;

/// Source NAT of the flows of one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snat {
    pub(crate) kind: SnatKind,
    pub(crate) ip4: Option<Ipv4Addr>,
    pub(crate) ip6: Option<Ipv6Addr>,
    /// Destinations that see the real source.
    pub(crate) excluded: Fib,
    pub(crate) include4: Interfaces,
    pub(crate) include6: Interfaces,
    pub(crate) pod: Interfaces,
    pub(crate) host: Interfaces,
}

impl Snat {
    /// The address that flows get, as a number; 0 when none is known.
    pub(crate) fn address(&self, family: Family) -> u128 {
        match family {
            Family::V4 => self.ip4.map_or(0, |ip| number(ip.into())),
            Family::V6 => self.ip6.map_or(0, |ip| number(ip.into())),
        }
    }

    /// Tells whether a new flow gets another source. Its destination is translated already.
    pub(crate) fn applies(&self, flow: &Tuple, rx: SwIfIndex, tx: SwIfIndex) -> bool {
        match self.kind {
            SnatKind::None | SnatKind::Dnat => true,
            SnatKind::DnatOnly => false,
            SnatKind::IfPfx => self.is_outgoing(flow, rx),
            SnatKind::K8s => {
                let pod = |on: SwIfIndex| self.pod.get(on.0).is_some();
                if self.host.get(tx.0).is_some() {
                    return false;
                }
                self.is_outgoing(flow, rx)
                    || if !pod(rx) && !pod(tx) {
                        flow.src != self.address(flow.family)
                    } else {
                        flow.src == flow.dst
                    }
            }
        }
    }

    fn is_outgoing(&self, flow: &Tuple, rx: SwIfIndex) -> bool {
        let included = match flow.family {
            Family::V4 => &self.include4,
            Family::V6 => &self.include6,
        };
        included.get(rx.0).is_some() && self.excluded.lookup(flow.dst_ip()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Scope;

    const POD_A: SwIfIndex = SwIfIndex(1);
    const POD_B: SwIfIndex = SwIfIndex(2);
    const UPLINK: SwIfIndex = SwIfIndex(3);
    const UPLINK_2: SwIfIndex = SwIfIndex(4);
    const HOST: SwIfIndex = SwIfIndex(5);

    fn kubernetes() -> Snat {
        let mut snat = Snat {
            kind: SnatKind::K8s,
            ip4: Some([192, 168, 0, 1].into()),
            ..Snat::default()
        };
        for pod in [POD_A, POD_B] {
            snat.pod.set(pod.0, ());
            snat.include4.set(pod.0, ());
        }
        snat.host.set(HOST.0, ());
        snat.excluded.insert("10.0.0.0/8".parse().unwrap(), 0);
        snat
    }

    fn flow(src: [u8; 4], dst: [u8; 4]) -> Tuple {
        Tuple {
            family: Family::V4,
            src: number(src.into()),
            dst: number(dst.into()),
            src_port: 1,
            dst_port: 2,
            protocol: 6,
            fragments: false,
            scope: Scope::default(),
        }
    }

    #[test]
    fn the_kubernetes_policy_hides_pods_from_outside_and_only_there() {
        let snat = kubernetes();
        let (pod, other, world) = ([10, 0, 0, 1], [10, 0, 0, 2], [8, 8, 8, 8]);
        for (src, dst, rx, tx, want) in [
            (pod, world, POD_A, UPLINK, true),
            (pod, other, POD_A, POD_B, false),
            (pod, pod, POD_A, POD_A, true),
            (world, pod, UPLINK, POD_A, false),
            (world, other, UPLINK, UPLINK_2, true),
            ([192, 168, 0, 1], other, UPLINK, UPLINK_2, false),
            (pod, world, POD_A, HOST, false),
        ] {
            assert_eq!(
                snat.applies(&flow(src, dst), rx, tx),
                want,
                "{src:?} > {dst:?}"
            );
        }
    }

    #[test]
    fn the_other_policies() {
        let mut snat = kubernetes();
        let flow = flow([10, 0, 0, 1], [10, 0, 0, 2]);
        for (kind, want) in [
            (SnatKind::None, true),
            (SnatKind::IfPfx, false),
            (SnatKind::Dnat, true),
            (SnatKind::DnatOnly, false),
        ] {
            snat.kind = kind;
            assert_eq!(snat.applies(&flow, POD_A, UPLINK), want, "{kind:?}");
        }
    }
}
