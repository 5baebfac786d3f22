//! The engine, behind the same steps as the model.

use std::collections::BTreeMap;

use vswitch::bridge::{BridgeSpec, L2FibFlags};
use vswitch::graph::{DropReason, NodeId};
use vswitch::interface::DeviceSpec;
use vswitch::neighbor::NeighborFlags;
use vswitch::tunnel::VxlanSpec;
use vswitch::{
    ApiError, Batch, Dataplane, Family, HEAD_MAX, MacAddr, Nanos, Offload, SwIfIndex, Tail, Worker,
};

use crate::model::Counter;
use crate::step::Change;
use crate::wire::Frame;
use crate::world::{self, If};

const SECOND: u64 = 1_000_000_000;
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// What the engine did with one frame.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub sent: Vec<(If, Vec<u8>)>,
    pub drops: BTreeMap<DropReason, u64>,
    pub counters: BTreeMap<(If, Counter), u64>,
}

/// A dataplane, its worker, and a wire in memory.
#[derive(Debug)]
pub struct Switch {
    pub dataplane: Dataplane,
    worker: Worker,
    batch: Batch,
    now: Nanos,
    /// Indexes of the lists in their places.
    acls: [Option<u32>; 4],
}

impl Switch {
    /// The world before its first change; see [`crate::world`].
    ///
    /// # Errors
    /// When the engine refuses a part of it.
    pub fn new() -> Result<Self, ApiError> {
        let mut dataplane = Dataplane::new();
        for index in world::DEVICES {
            let spec = DeviceSpec {
                name: format!("device{index}"),
                link_mtu: world::DEVICE_MTU,
                link_up: true,
                ..DeviceSpec::default()
            };
            dataplane.create_device_interface(spec)?;
        }
        for _ in world::LOOPBACKS {
            dataplane.create_loopback(MacAddr::ZERO, None)?;
        }
        for family in FAMILIES {
            for table in world::TABLES {
                dataplane.ip_table_add_del(family, table, "", true)?;
            }
        }
        for (tunnel, vni) in world::VNIS.into_iter().enumerate() {
            let (src, dst) = world::tunnel_ends(tunnel);
            let spec = VxlanSpec {
                src,
                dst,
                vni,
                encap_table: world::UNDERLAY,
                ..VxlanSpec::default()
            };
            dataplane.vxlan_add_del_tunnel_v3(true, spec)?;
        }
        for index in world::INTERFACES {
            dataplane.set_mac(SwIfIndex(index), MacAddr(world::mac_of(index)))?;
        }
        for bd_id in world::BRIDGES {
            dataplane.bridge_domain_add_del(Some(bd_id), Some(BridgeSpec::default()))?;
        }
        let worker = dataplane.new_worker();
        Ok(Self {
            dataplane,
            worker,
            batch: Batch::new(),
            now: Nanos(SECOND),
            acls: [None; 4],
        })
    }

    /// Makes a change.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn change(&mut self, change: &Change) -> Result<(), ApiError> {
        let dataplane = &mut self.dataplane;
        match change {
            Change::Up(on, up) => dataplane.set_flags(SwIfIndex(*on), *up),
            Change::Mtu(on, mtu) => dataplane.set_mtu(SwIfIndex(*on), [*mtu, 0, 0, 0]),
            Change::EnableIp(on, Family::V4, enable) => {
                dataplane.ip4_enable_disable(SwIfIndex(*on), *enable)
            }
            Change::EnableIp(on, Family::V6, enable) => {
                dataplane.ip6_enable_disable(SwIfIndex(*on), *enable)
            }
            Change::Address(on, prefix, is_add) => {
                dataplane.add_del_address(SwIfIndex(*on), *is_add, *prefix)
            }
            Change::Unnumbered(on, lender) => {
                dataplane.set_unnumbered(SwIfIndex(*on), lender.map(SwIfIndex))
            }
            Change::Table(on, family, table) => {
                dataplane.set_table(SwIfIndex(*on), *family, *table)
            }
            Change::Neighbor(on, ip, mac, is_add) => {
                let flags = NeighborFlags {
                    is_static: true,
                    no_fib_entry: false,
                };
                let (on, mac, now) = (SwIfIndex(*on), MacAddr(*mac), self.now);
                dataplane
                    .ip_neighbor_add_del(on, *ip, mac, flags, *is_add, now)
                    .map(drop)
            }
            Change::Route {
                table,
                prefix,
                paths,
                is_add,
                is_multipath,
            } => dataplane
                .ip_route_add_del(*table, *prefix, paths, *is_add, *is_multipath)
                .map(drop),
            Change::AbfPolicy { .. } | Change::AbfAttach { .. } => self.change_abf(change),
            Change::Acl(..) | Change::AclDelete(_) | Change::AclApply(..) => {
                self.change_acl(change)
            }
            Change::Bridge { .. }
            | Change::BridgeFlags(..)
            | Change::Xconnect(..)
            | Change::LeaveL2(_)
            | Change::L2Fib { .. } => self.change_l2(change),
        }
    }

    fn change_l2(&mut self, change: &Change) -> Result<(), ApiError> {
        let dataplane = &mut self.dataplane;
        match change {
            Change::Bridge {
                on,
                bd_id,
                kind,
                group,
            } => dataplane.set_l2_bridge(SwIfIndex(*on), *bd_id, *kind, *group, true),
            Change::BridgeFlags(bd_id, is_set, flags) => {
                dataplane.bridge_flags(*bd_id, *is_set, *flags).map(drop)
            }
            Change::Xconnect(rx, tx) => {
                dataplane.set_l2_xconnect(SwIfIndex(*rx), SwIfIndex(*tx), true)
            }
            Change::L2Fib {
                bd_id,
                mac,
                on,
                is_static,
                is_filter,
                is_add,
            } => {
                let flags = L2FibFlags {
                    static_mac: *is_static,
                    filter_mac: *is_filter,
                    bvi_mac: false,
                };
                dataplane.l2fib_add_del(MacAddr(*mac), *bd_id, SwIfIndex(*on), flags, *is_add)
            }
            Change::LeaveL2(on) => {
                dataplane.set_l2_xconnect(SwIfIndex(*on), SwIfIndex::NONE, false)
            }
            other => unreachable!("{other:?} is no change of layer 2"),
        }
    }

    fn change_acl(&mut self, change: &Change) -> Result<(), ApiError> {
        let index = |place: &usize| self.acls[*place].unwrap_or(999);
        match change {
            Change::Acl(place, rules) => {
                let old = self.acls[*place];
                let index = self.dataplane.acl_add_replace(old, "sim", rules.clone())?;
                self.acls[*place] = Some(index);
                Ok(())
            }
            Change::AclDelete(place) => {
                self.dataplane.acl_del(index(place))?;
                self.acls[*place] = None;
                Ok(())
            }
            Change::AclApply(on, input, output) => {
                let input: Vec<_> = input.iter().map(index).collect();
                let output: Vec<_> = output.iter().map(index).collect();
                self.dataplane
                    .acl_interface_set_acl_list(SwIfIndex(*on), &input, &output)
            }
            other => unreachable!("{other:?} is no change of access lists"),
        }
    }

    fn change_abf(&mut self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::AbfPolicy {
                id,
                acl,
                paths,
                is_add,
            } => {
                let acl = self.acls[*acl].unwrap_or(999);
                self.dataplane.abf_policy_add_del(*id, acl, paths, *is_add)
            }
            Change::AbfAttach {
                id,
                on,
                priority,
                family,
                is_add,
            } => self.dataplane.abf_itf_attach_add_del(
                *id,
                SwIfIndex(*on),
                *priority,
                *family,
                *is_add,
            ),
            other => unreachable!("{other:?} is no change of steering"),
        }
    }

    /// Receives a frame, and lets the engine learn from it. Then two seconds pass, so that no rate limit is met.
    ///
    /// # Errors
    /// When the engine does not take the frame.
    pub fn receive(&mut self, on: If, frame: &Frame) -> Result<Observed, vswitch::BatchFull> {
        self.receive_bytes(on, &frame.encode())
    }

    /// As [`Switch::receive`], whatever the bytes are.
    ///
    /// # Errors
    /// When the engine does not take the frame.
    pub fn receive_bytes(&mut self, on: If, bytes: &[u8]) -> Result<Observed, vswitch::BatchFull> {
        let observed = self.receive_now(on, bytes)?;
        self.wait(2 * SECOND / 1_000_000);
        Ok(observed)
    }

    /// Lets so many milliseconds pass.
    pub fn wait(&mut self, millis: u64) {
        self.now.0 += millis * 1_000_000;
    }

    /// As [`Switch::receive_bytes`], and no time passes.
    ///
    /// # Errors
    /// When the engine does not take the frame.
    pub fn receive_now(&mut self, on: If, bytes: &[u8]) -> Result<Observed, vswitch::BatchFull> {
        let tables = self.dataplane.publish();
        let before = self.counters();
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_MAX));
        let tail = Tail {
            slot: 1,
            offset: 0,
            len: u32::try_from(rest.len()).unwrap_or(u32::MAX),
        };
        self.batch
            .push(SwIfIndex(on), head, Some(tail), Offload::default())?;
        self.worker.run(&tables, &mut self.batch, self.now);
        let mut sent = Vec::new();
        for (on, ids) in self.batch.tx_lists() {
            for id in ids {
                let frame = self.batch.frame(*id);
                let mut bytes = frame.head().to_vec();
                if let Some(tail) = frame.tail {
                    bytes.extend(&rest[tail.offset as usize..][..tail.len as usize]);
                }
                sent.push((on.0, bytes));
            }
        }
        self.batch.clear();
        let (dataplane, now) = (&mut self.dataplane, self.now);
        self.worker
            .drain_events(|event| dataplane.handle_event(event, now));
        let after = self.counters();
        Ok(Observed {
            sent,
            drops: grown(&before.0, after.0),
            counters: grown(&before.1, after.1),
        })
    }

    fn counters(&self) -> (BTreeMap<DropReason, u64>, BTreeMap<(If, Counter), u64>) {
        let own = self.worker.counters();
        let of_reason = |why: &DropReason| NodeId::ALL.iter().map(|n| own.error(*n, *why)).sum();
        let drops = DropReason::ALL.iter().map(|why| (*why, of_reason(why)));
        let mut counters = BTreeMap::new();
        for on in world::INTERFACES {
            let all = self.dataplane.interface_counters(SwIfIndex(on));
            counters.extend([
                ((on, Counter::RxPackets), all.rx.packets),
                ((on, Counter::RxBytes), all.rx.bytes),
                ((on, Counter::TxPackets), all.tx.packets),
                ((on, Counter::TxBytes), all.tx.bytes),
                ((on, Counter::Drops), all.drops),
                ((on, Counter::Ip4), all.ip4),
                ((on, Counter::Ip6), all.ip6),
            ]);
        }
        (drops.collect(), counters)
    }
}

fn grown<K: Ord>(before: &BTreeMap<K, u64>, after: BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let by = |key: &K, count: u64| count - before.get(key).copied().unwrap_or(0);
    let all = after.into_iter().map(|(key, count)| {
        let by = by(&key, count);
        (key, by)
    });
    all.filter(|(_, by)| *by > 0).collect()
}
