//! Runs packets through the graph in memory, for profilers that count instructions: `graph <path> <batches> [routes]`.
//!
//! Paths are `l2`, `ip4`, `ip6`, `npol`, `cnat`, `vxlan-encap` and `vxlan-decap`; `npol` is `ip4` with policies of 100 rules on
//! both interfaces, of which the last one matches by a set of 10000, and one flow per route; `cnat` has one client per route
//! of a service with one back-end. What two runs with different numbers of batches differ
//! by is the cost of the packets alone. Build with `-C symbol-mangling-version=v0` to see nodes by name.
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use packet::{MacAddr, ethernet, ipv4, ipv6, proto, udp, vxlan};
use vswitch::acl::PortRange;
use vswitch::cnat::{Balance, Endpoint, Path, TranslationSpec};
use vswitch::dataplane::flows::FlowLimits;
use vswitch::interface::DeviceSpec;
use vswitch::neighbor::NeighborFlags;
use vswitch::npol::{
    Criterion, Entry, InterfacePolicies, IpSetKind, Member, Policy, PolicyDefault, RuleAction,
    RuleSpec,
};
use vswitch::route::{PathKind, RoutePath};
use vswitch::tunnel::VxlanSpec;
use vswitch::{
    BATCH_MAX, Batch, Dataplane, Family, HEAD_MAX, Nanos, Offload, Prefix, SwIfIndex, Tail,
};

type Failure = Box<dyn Error>;

const PEER: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 9]);
const PORTS: (u16, u16) = (1024, 9);
const FRAME_LEN: usize = 64;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (path, batches, routes) = match words.as_slice() {
        [path, batches] => (path, batches.parse()?, 1),
        [path, batches, routes] => (path, batches.parse()?, routes.parse()?),
        _ => return Err("usage: graph <path> <batches> [routes]".into()),
    };
    let mut setup = Setup::new()?;
    let frames = match path.as_str() {
        "l2" => setup.l2()?,
        "ip4" => setup.ip(Family::V4, routes)?,
        "ip6" => setup.ip(Family::V6, routes)?,
        "npol" => {
            setup.guard()?;
            setup.ip(Family::V4, routes)?
        }
        "cnat" => setup.service(routes)?,
        "vxlan-encap" => setup.vxlan_encap()?,
        "vxlan-decap" => setup.vxlan_decap()?,
        other => return Err(format!("`{other}` is no path").into()),
    };
    setup.run(&frames, batches)
}

struct Setup {
    dp: Dataplane,
    left: SwIfIndex,
    right: SwIfIndex,
    left_mac: MacAddr,
}

impl Setup {
    fn new() -> Result<Self, Failure> {
        let mut dp = Dataplane::new();
        let mut device = |name: &str| -> Result<SwIfIndex, Failure> {
            let spec = DeviceSpec {
                name: name.to_owned(),
                link_up: true,
                ..DeviceSpec::default()
            };
            let index = dp.create_device_interface(spec)?;
            dp.set_flags(index, true)?;
            Ok(index)
        };
        let (left, right) = (device("left")?, device("right")?);
        for (on, n) in [(left, 1), (right, 2)] {
            let v4 = Prefix::new(Ipv4Addr::new(10, n, 0, 1).into(), 24)?;
            let v6 = Prefix::new(
                Ipv6Addr::new(0xfd00, u16::from(n), 0, 0, 0, 0, 0, 1).into(),
                64,
            )?;
            dp.add_del_address(on, true, v4)?;
            dp.add_del_address(on, true, v6)?;
        }
        let fixed = NeighborFlags {
            is_static: true,
            no_fib_entry: false,
        };
        for peer in [peer(Family::V4), peer(Family::V6)] {
            dp.ip_neighbor_add_del(right, peer, PEER, fixed, true, Nanos(0))?;
        }
        let left_mac = dp.interface(left)?.mac;
        Ok(Self {
            dp,
            left,
            right,
            left_mac,
        })
    }

    fn l2(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.dp.set_l2_xconnect(self.left, self.right, true)?;
        Ok(vec![frame(PEER, peer(Family::V4))])
    }

    /// Routes with one next hop, and packets to all of them in no order that a cache would like.
    fn ip(&mut self, family: Family, routes: u32) -> Result<Vec<Vec<u8>>, Failure> {
        let path = RoutePath {
            next_hop: peer(family),
            sw_if_index: self.right,
            ..RoutePath::of_kind(PathKind::Normal, family)
        };
        for n in 0..routes {
            let (addr, len) = (
                destination(family, n),
                if family == Family::V4 { 24 } else { 48 },
            );
            let prefix = Prefix::new(addr, len)?.masked();
            self.dp.ip_route_add_del(0, prefix, &[path], true, false)?;
        }
        let order = (0..routes.max(1 << 16)).map(|n| n.wrapping_mul(0x9e37_79b1) % routes);
        let order = order.take(1 << 16);
        Ok(order
            .map(|n| frame(self.left_mac, destination(family, n)))
            .collect())
    }

    /// Policies that the packets of [`Setup::ip`] pass, after 99 rules that name other ports and the same set.
    fn guard(&mut self) -> Result<(), Failure> {
        let dp = &mut self.dp;
        let set = dp.npol_ipset_create(IpSetKind::Net)?;
        let own = Prefix::new(Ipv4Addr::new(10, 1, 0, 0).into(), 16)?;
        let others = (0..9_999u32).map(|n| Ipv4Addr::from_bits((172 << 24) + (n << 8)).into());
        let members = others.map(|addr| Prefix { addr, len: 24 }).chain([own]);
        dp.npol_ipset_add_del_members(set, true, members.map(|net| Ok(Member::Net(net))))?;
        let mut rules = Vec::new();
        for n in 0..100 {
            let port = if n == 99 { PORTS.1 } else { 1000 + n };
            let entry = |is_src, criterion| Entry {
                is_src,
                is_not: false,
                criterion,
            };
            let range = PortRange {
                first: port,
                last: port,
            };
            let spec = RuleSpec {
                action: RuleAction::Allow,
                filters: Vec::new(),
                entries: vec![
                    entry(true, Criterion::IpSet(set)),
                    entry(false, Criterion::Ports(range)),
                ],
            };
            rules.push(dp.npol_rule_update(None, spec)?);
        }
        let policy = Policy {
            rx: rules.clone(),
            tx: rules,
        };
        let policy = dp.npol_policy_update(None, policy)?;
        let policies = InterfacePolicies {
            rx: vec![policy],
            tx: vec![policy],
            policy_default_rx: PolicyDefault::Deny,
            policy_default_tx: PolicyDefault::Deny,
            ..InterfacePolicies::default()
        };
        for on in [self.left, self.right] {
            dp.npol_configure_policies(on, policies.clone())?;
        }
        Ok(())
    }

    /// Packets of `clients` to a service whose back-end is the peer.
    fn service(&mut self, clients: u32) -> Result<Vec<Vec<u8>>, Failure> {
        let flows = usize::try_from(clients)?.max(1 << 10);
        self.dp.set_flow_limits(FlowLimits {
            cnat: flows,
            ..FlowLimits::default()
        });
        for on in [self.left, self.right] {
            self.dp.feature_cnat_enable_disable(on, true)?;
        }
        let vip = Ipv4Addr::new(10, 96, 0, 1);
        self.dp.cnat_translation_update(&TranslationSpec {
            vip: Endpoint::new(vip.into(), PORTS.1),
            protocol: proto::UDP,
            flags: 0,
            exclusive: true,
            balance: Balance::Maglev,
            flow_hash: 0,
            paths: vec![Path::to(peer(Family::V4), PORTS.1)],
        })?;
        let order = (0..clients.max(1 << 16)).map(|n| n.wrapping_mul(0x9e37_79b1) % clients);
        let frame = |n| {
            let client = Ipv4Addr::from_bits((172 << 24 | 16 << 16) + n);
            ip_frame(self.left_mac, client.into(), vip.into(), PORTS, &[])
        };
        Ok(order.map(frame).collect())
    }

    fn tunnel(&mut self) -> Result<SwIfIndex, Failure> {
        let spec = VxlanSpec {
            src: Ipv4Addr::new(10, 2, 0, 1).into(),
            dst: peer(Family::V4),
            vni: 7,
            ..VxlanSpec::default()
        };
        let tunnel = self.dp.vxlan_add_del_tunnel_v3(true, spec)?;
        self.dp.set_flags(tunnel, true)?;
        Ok(tunnel)
    }

    fn vxlan_encap(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let tunnel = self.tunnel()?;
        self.dp.set_l2_xconnect(self.left, tunnel, true)?;
        Ok(vec![frame(PEER, peer(Family::V4))])
    }

    fn vxlan_decap(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let tunnel = self.tunnel()?;
        self.dp.set_l2_xconnect(tunnel, self.left, true)?;
        let inner = frame(PEER, peer(Family::V4));
        let mut payload = vec![0; vxlan::HEADER_LEN];
        vxlan::emit(&mut payload, 7);
        payload.extend(inner);
        let mac = self.dp.interface(self.right)?.mac;
        let own = Ipv4Addr::new(10, 2, 0, 1);
        std::mem::swap(&mut self.left, &mut self.right);
        Ok(vec![ip_frame(
            mac,
            peer(Family::V4),
            own.into(),
            (50_000, 4789),
            &payload,
        )])
    }

    fn run(&mut self, frames: &[Vec<u8>], batches: u32) -> Result<(), Failure> {
        let tables = self.dp.publish();
        let (mut worker, mut batch) = (self.dp.new_worker(), Batch::new());
        let mut next = frames.iter().cycle();
        let (mut sent, start) = (0, Instant::now());
        for round in 0..batches {
            for bytes in next.by_ref().take(BATCH_MAX) {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD_MAX));
                let len = u32::try_from(rest.len())?;
                let tail = Tail {
                    slot: 0,
                    offset: 0,
                    len,
                };
                batch.push(self.left, head, Some(tail), Offload::default())?;
            }
            worker.run(&tables, &mut batch, Nanos(u64::from(round)));
            sent += batch.tx_lists().map(|(_, ids)| ids.len()).sum::<usize>();
            batch.clear();
        }
        let time = start.elapsed();
        let packets = batches as usize * BATCH_MAX;
        if sent != packets {
            return Err(format!("{sent} of {packets} packets were sent").into());
        }
        println!("{packets} packets in {} ns", time.as_nanos());
        Ok(())
    }
}

fn peer(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 2, 0, 2).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 2).into(),
    }
}

/// A host in the `n`-th routed network: /24 from 16.0.0.0 on, /48 from 2001:: on.
fn destination(family: Family, n: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits((16 << 24) + (n << 8) + 5).into(),
        Family::V6 => Ipv6Addr::from_bits((0x2001 << 112) + (u128::from(n) << 80) + 5).into(),
    }
}

fn frame(dst_mac: MacAddr, dst: IpAddr) -> Vec<u8> {
    let src = match dst {
        IpAddr::V4(_) => Ipv4Addr::new(10, 1, 0, 2).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 2).into(),
    };
    ip_frame(dst_mac, src, dst, PORTS, &[])
}

fn ip_frame(
    dst_mac: MacAddr,
    src: IpAddr,
    dst: IpAddr,
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut datagram = vec![0; udp::HEADER_LEN];
    datagram.extend(payload);
    let header_len = ethernet::HEADER_LEN
        + if dst.is_ipv4() {
            ipv4::HEADER_LEN
        } else {
            ipv6::HEADER_LEN
        };
    datagram.resize(datagram.len().max(FRAME_LEN.saturating_sub(header_len)), 0);
    let len = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
    udp::emit(&mut datagram, ports.0, ports.1, len, 0);
    let mut out = vec![0; header_len];
    let kind = if dst.is_ipv4() {
        ethernet::IPV4
    } else {
        ethernet::IPV6
    };
    ethernet::emit(&mut out, dst_mac, PEER, kind);
    let ip = out.get_mut(ethernet::HEADER_LEN..).unwrap_or(&mut []);
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::Header {
            tos: 0,
            total_len: len + 20,
            ident: 0,
            fragment_word: 0,
            ttl: 64,
            protocol: proto::UDP,
            src,
            dst,
        }
        .emit(ip),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: len,
            next_header: proto::UDP,
            hop_limit: 64,
            src,
            dst,
        }
        .emit(ip),
        _ => unreachable!("one family"),
    }
    out.extend(datagram);
    out
}
