//! What the data path knows of a translation.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use packet::FlowKey;

use super::maglev::{self, Member};
use super::{Balance, NO_RETURN_SESSION};
use crate::counters::Combined;
use crate::flow_hash::FLOW_HASH_DEFAULT;
use crate::session::Tuple;

/// A virtual endpoint: address, port, protocol.
pub(crate) type Vip = (IpAddr, u16, u8);

/// A path whose addresses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backend {
    pub(crate) dst: IpAddr,
    /// 0 leaves the packet's.
    pub(crate) dst_port: u16,
    /// Unspecified leaves the packet's.
    pub(crate) src: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) no_nat: bool,
    /// Number that its sessions carry.
    pub(crate) tracker: u32,
}

impl Backend {
    fn identity(&self) -> u64 {
        let key = FlowKey {
            src: self.src,
            dst: self.dst,
            protocol: 0,
            src_port: self.src_port,
            dst_port: self.dst_port,
        };
        let again = FlowKey { protocol: 1, ..key };
        u64::from(key.hash()) << 32 | u64::from(again.hash())
    }

    fn same_endpoints(&self, other: &Self) -> bool {
        (self.dst, self.dst_port, self.src, self.src_port)
            == (other.dst, other.dst_port, other.src, other.src_port)
    }
}

/// Packets and bytes of flows that chose a back-end.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Hits {
    pub(crate) fn add(&self, bytes: u64) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Combined {
        Combined {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A translation as the data path sees it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) flags: u8,
    /// Interfaces without the feature translate, too.
    pub(crate) has_route: bool,
    pub(crate) hits: Arc<Hits>,
    flow_hash: u32,
    backends: Box<[Backend]>,
    /// Positions in `backends`, spread by the balance.
    table: Box<[u16]>,
}

impl Service {
    /// `paths` are the active ones; one that is listed several times weighs so much.
    pub(crate) fn new(
        paths: &[Backend],
        balance: Balance,
        flow_hash: u32,
        flags: u8,
        has_route: bool,
        hits: Arc<Hits>,
    ) -> Self {
        let mut backends: Vec<Backend> = Vec::new();
        let mut order = Vec::with_capacity(paths.len());
        for path in paths {
            let known = backends.iter().position(|b| b.same_endpoints(path));
            let at = known.unwrap_or_else(|| {
                backends.push(*path);
                backends.len() - 1
            });
            order.push(u16::try_from(at).unwrap_or(u16::MAX));
        }
        let table = match balance {
            Balance::Default => order,
            Balance::Maglev => {
                let weight = |at: usize| order.iter().filter(|o| usize::from(**o) == at).count();
                let members: Vec<_> = backends
                    .iter()
                    .enumerate()
                    .map(|(at, backend)| Member {
                        identity: backend.identity(),
                        weight: u32::try_from(weight(at)).unwrap_or(u32::MAX),
                    })
                    .collect();
                maglev::table(&members)
            }
        };
        Self {
            flags,
            has_route,
            hits,
            flow_hash: if flow_hash == 0 {
                FLOW_HASH_DEFAULT
            } else {
                flow_hash
            },
            backends: backends.into(),
            table: table.into(),
        }
    }

    /// Chooses the back-end of a new flow; `None` when there is none.
    pub(crate) fn choose(&self, flow: &Tuple) -> Option<&Backend> {
        let hash = u64::from(flow_hash(flow, self.flow_hash));
        let at = (hash * self.table.len() as u64) >> 32;
        let at = *self.table.get(usize::try_from(at).ok()?)?;
        self.backends.get(usize::from(at))
    }

    pub(crate) const fn returns(&self) -> bool {
        self.flags & NO_RETURN_SESSION == 0
    }
}

fn flow_hash(flow: &Tuple, fields: u32) -> u32 {
    let key = FlowKey {
        src: flow.src_ip(),
        dst: flow.dst_ip(),
        protocol: flow.protocol,
        src_port: flow.src_port,
        dst_port: flow.dst_port,
    };
    crate::flow_hash::flow_hash(key, fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_hash::{DST_IP, DST_PORT, PROTO, REVERSE, SRC_IP, SRC_PORT, SYMMETRIC};
    use crate::id::Family;
    use crate::session::{Scope, number};

    fn flow(src: &str, src_port: u16) -> Tuple {
        Tuple {
            family: Family::V4,
            src: number(src.parse().unwrap()),
            dst: number("10.96.0.1".parse().unwrap()),
            src_port,
            dst_port: 80,
            protocol: 6,
            fragments: false,
            scope: Scope::default(),
        }
    }

    fn backend(n: u8) -> Backend {
        Backend {
            dst: [10, 0, 0, n].into(),
            dst_port: 8080,
            src: [0, 0, 0, 0].into(),
            src_port: 0,
            no_nat: false,
            tracker: n.into(),
        }
    }

    fn service(paths: &[Backend], balance: Balance, flow_hash: u32) -> Service {
        Service::new(paths, balance, flow_hash, 0, true, Arc::default())
    }

    fn share(service: &Service, of: u32) -> usize {
        (0..10_000)
            .filter(|port| service.choose(&flow("10.0.9.9", *port)).unwrap().tracker == of)
            .count()
    }

    #[test]
    fn a_path_listed_three_times_gets_three_times_the_flows() {
        let paths = [backend(1), backend(2), backend(1), backend(1)];
        for balance in [Balance::Default, Balance::Maglev] {
            let service = service(&paths, balance, 0);
            let shares = [share(&service, 1), share(&service, 2)];
            assert!((7300..7700).contains(&shares[0]), "{balance:?}: {shares:?}");
            assert_eq!(shares[0] + shares[1], 10_000);
        }
    }

    #[test]
    fn a_hash_over_addresses_keeps_a_client_on_a_backend() {
        let paths: Vec<_> = (1..=9).map(backend).collect();
        let service = service(&paths, Balance::Maglev, SRC_IP | DST_IP);
        for client in ["10.0.9.1", "10.0.9.2", "10.0.9.3"] {
            let first = service.choose(&flow(client, 1)).unwrap().tracker;
            assert!((2..2000).all(|p| service.choose(&flow(client, p)).unwrap().tracker == first));
        }
    }

    #[test]
    fn a_symmetric_hash_is_the_same_for_both_directions() {
        let (there, all) = (
            flow("10.0.9.9", 1234),
            SRC_IP | DST_IP | SRC_PORT | DST_PORT | PROTO,
        );
        let both = |bits| (flow_hash(&there, bits), flow_hash(&there.reversed(), bits));
        let (a, b) = both(all | SYMMETRIC);
        assert_eq!(a, b);
        let (a, b) = both(all);
        assert_ne!(a, b);
        assert_eq!(flow_hash(&there, all | REVERSE), b);
    }

    #[test]
    fn without_paths_there_is_no_choice() {
        for balance in [Balance::Default, Balance::Maglev] {
            assert!(
                service(&[], balance, 0)
                    .choose(&flow("10.0.9.9", 1))
                    .is_none()
            );
        }
    }
}
