//! Services and hidden sources: clients, back-ends and the world talk, while back-ends come and go and time passes.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use sim::check::cases;
use sim::generate::basis;
use sim::services::{End, Flow, Packet, Service, Services, Verdict};
use sim::step::Change;
use sim::switch::Switch;
use sim::wire::{TCP, UDP};
use sim::world::{self, If};
use vswitch::cnat::{Balance, Endpoint, Path, SnatKind, SnatSet, TranslationSpec};
use vswitch::dataplane::flows::FlowLimits;
use vswitch::route::RoutePath;
use vswitch::{Dataplane, Family, Prefix, SwIfIndex};

/// Clients are behind the first, the world behind the last.
const INSIDE: If = 1;
const OUTSIDE: If = 3;
const HOSTS: u8 = 3;
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

#[derive(Debug, Clone)]
enum Step {
    Backends(usize, Vec<End>),
    Wait(u64),
    /// A packet of a new flow, maybe.
    Begin(Flow, u8, usize),
    /// A packet of a flow that was seen: the same again, an answer to it, or an error about it.
    Again(Index, Reply, u8),
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Same,
    Answer,
    Error,
    /// From somebody on the way.
    RouterError,
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn far(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(20, 0, 0, 9).into(),
        Family::V6 => Ipv6Addr::new(0xfd20, 0, 0, 0, 0, 0, 0, 9).into(),
    }
}

fn vip(family: Family, n: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 96, 0, n).into(),
        Family::V6 => Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, u16::from(n)).into(),
    }
}

fn hidden_behind() -> (Ipv4Addr, Ipv6Addr) {
    (
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
    )
}

/// Two for each family and protocol.
fn services() -> Vec<Service> {
    let mut all = Vec::new();
    for family in FAMILIES {
        for (protocol, n) in [(UDP, 1), (TCP, 2), (TCP, 3), (UDP, 3)] {
            all.push(Service {
                protocol,
                vip: (vip(family, n), 80),
                backends: backends(family),
            });
        }
    }
    all
}

/// On all interfaces, and one far away.
fn backends(family: Family) -> Vec<End> {
    let near = (1..4).map(|on| (world::host(on, 1, family), 8080));
    near.chain([(far(family), 80)]).collect()
}

fn family_of(service: usize) -> Family {
    FAMILIES[service / 4]
}

fn spec(service: &Service) -> TranslationSpec {
    TranslationSpec {
        vip: Endpoint::new(service.vip.0, service.vip.1),
        protocol: service.protocol,
        flags: 0,
        exclusive: true,
        balance: Balance::Default,
        flow_hash: 0,
        paths: service
            .backends
            .iter()
            .map(|(ip, port)| Path::to(*ip, *port))
            .collect(),
    }
}

struct Run {
    model: Services,
    switch: Switch,
    now: u64,
    /// Flows that packets came and left with, and the interface on which they came.
    seen: Vec<(If, Flow)>,
}

impl Run {
    fn new() -> Result<Self, String> {
        let mut switch = Switch::new().map_err(|e| e.to_string())?;
        let mut changes = basis();
        for on in 1..4 {
            for (n, family) in (0..HOSTS).flat_map(|n| FAMILIES.map(|family| (n, family))) {
                let ip = world::host(on, n, family);
                changes.push(Change::Neighbor(on, ip, world::host_mac(on, n), true));
            }
        }
        for (text, family) in [("20.0.0.0/8", Family::V4), ("fd20::/16", Family::V6)] {
            changes.push(Change::Route {
                table: 0,
                prefix: prefix(text),
                paths: vec![RoutePath::via(
                    world::host(OUTSIDE, 0, family),
                    SwIfIndex(OUTSIDE),
                )],
                is_add: true,
                is_multipath: false,
            });
        }
        for change in changes {
            let made = switch.change(&change);
            made.map_err(|e| format!("{change:?}: {e}"))?;
        }
        let (v4, v6) = hidden_behind();
        let excluded = vec![prefix("10.0.0.0/8"), prefix("fd00::/16")];
        let model = Services::new(services(), vec![v4.into(), v6.into()], excluded);
        configure(&mut switch.dataplane, &model).map_err(|e| e.to_string())?;
        Ok(Self {
            model,
            switch,
            now: 0,
            seen: Vec::new(),
        })
    }

    /// Gives `false` when the model does not know.
    fn step(&mut self, step: &Step, counts: &[Cell<u32>; 3]) -> Result<bool, String> {
        let packet = |flow, flags, len: usize| Packet {
            flow,
            flags,
            ttl: 64,
            payload: vec![7; len],
            error_from: None,
        };
        match step {
            Step::Backends(service, backends) => {
                self.model.update(*service, backends);
                let spec = spec(&self.model.services[*service]);
                let updated = self.switch.dataplane.cnat_translation_update(&spec);
                updated.map_err(|e| format!("{step:?}: {e}"))?;
                Ok(true)
            }
            Step::Wait(millis) => {
                self.now += millis;
                self.switch.wait(*millis);
                Ok(true)
            }
            Step::Begin(flow, flags, len) => {
                let on = interface_of(flow.src.0).ok_or("a client is nowhere")?;
                self.packet(on, &packet(*flow, *flags, *len), counts)
            }
            Step::Again(at, how, flags) => {
                if self.seen.is_empty() {
                    return Ok(true);
                }
                let (on, flow) = *at.get(&self.seen);
                let other = interface_of(flow.dst.0);
                let quote = |by| Packet {
                    error_from: Some(by),
                    ..packet(flow, *flags, 20)
                };
                match (how, other) {
                    (Reply::Same, _) => self.packet(on, &packet(flow, *flags, 9), counts),
                    // To a virtual address, before it was translated.
                    (_, None) => Ok(true),
                    (Reply::Answer, Some(on)) => {
                        self.packet(on, &packet(flow.back(), *flags, 10), counts)
                    }
                    (Reply::Error, Some(on)) => self.packet(on, &quote(flow.dst.0), counts),
                    (Reply::RouterError, Some(on)) => {
                        let family = Family::of(flow.dst.0);
                        self.packet(on, &quote(world::host(on, 2, family)), counts)
                    }
                }
            }
        }
    }

    fn packet(&mut self, on: If, packet: &Packet, counts: &[Cell<u32>; 3]) -> Result<bool, String> {
        let received = frame(world::mac_of(on), world::host_mac(on, 0), packet);
        let observed = self.switch.receive_now(on, &received);
        let observed = observed.map_err(|e| e.to_string())?;
        let seen = observed.sent.first();
        let seen = seen.filter(|_| packet.error_from.is_none());
        let seen = seen.map(|(_, bytes)| flow_in(bytes));
        let verdict = self.model.pass(packet, on == INSIDE, seen, self.now);
        let (expected, sent) = match verdict.map_err(|e| format!("{packet:?} on {on}: {e}"))? {
            Verdict::Unclear => return Ok(false),
            Verdict::Drops => (None, Vec::new()),
            // A virtual address has no route: what nothing translates ends there.
            Verdict::Sends(expected) => match next_hop(expected.destination()) {
                None => (None, Vec::new()),
                Some((to, mac)) => {
                    let bytes = frame(mac, world::mac_of(to), &expected);
                    (Some(expected), vec![(to, bytes)])
                }
            },
        };
        if observed.sent != sent {
            let (engine, drops) = (observed.sent, observed.drops);
            return Err(format!(
                "{packet:?} on {on}\nengine: {engine:02x?}, drops {drops:?}\nmodel: {sent:02x?}"
            ));
        }
        let Some(expected) = expected else {
            return Ok(true);
        };
        if packet.error_from.is_none() {
            self.seen.push((on, packet.flow));
            self.seen.push((on, expected.flow));
        }
        let kind = match packet.error_from {
            Some(_) => 2,
            None => usize::from(expected.flow != packet.flow),
        };
        counts[kind].set(counts[kind].get() + 1);
        Ok(true)
    }
}

fn configure(dataplane: &mut Dataplane, model: &Services) -> Result<(), vswitch::ApiError> {
    dataplane.set_flow_limits(FlowLimits {
        cnat: 4096,
        ..FlowLimits::default()
    });
    let (v4, v6) = hidden_behind();
    dataplane.cnat_set_snat_addresses((0, 0), v4, v6, SwIfIndex::NONE, 0)?;
    dataplane.cnat_set_snat_policy(SnatKind::IfPfx)?;
    for set in [SnatSet::IncludeV4, SnatSet::IncludeV6, SnatSet::Pod] {
        dataplane.cnat_snat_policy_add_del_if(SwIfIndex(INSIDE), true, set)?;
    }
    for prefix in &model.excluded {
        dataplane.cnat_snat_policy_exclude(true, *prefix)?;
    }
    for on in 1..4 {
        dataplane.feature_cnat_enable_disable(SwIfIndex(on), true)?;
    }
    for service in &model.services {
        dataplane.cnat_translation_update(&spec(service))?;
    }
    Ok(())
}

/// The interface behind which an address is.
fn interface_of(ip: IpAddr) -> Option<If> {
    next_hop(ip).map(|(on, _)| on)
}

fn next_hop(ip: IpAddr) -> Option<(If, [u8; 6])> {
    let family = Family::of(ip);
    if ip == far(family) {
        return Some((OUTSIDE, world::host_mac(OUTSIDE, 0)));
    }
    let all = (1..4).flat_map(|on| (0..HOSTS).map(move |n| (on, n)));
    let mut here = all.filter(|(on, n)| world::host(*on, *n, family) == ip);
    here.next().map(|(on, n)| (on, world::host_mac(on, n)))
}

fn frame(dst: [u8; 6], src: [u8; 6], packet: &Packet) -> Vec<u8> {
    let kind: u16 = if packet.destination().is_ipv4() {
        0x0800
    } else {
        0x86dd
    };
    let mut out = [dst, src].concat();
    out.extend(kind.to_be_bytes());
    out.extend(packet.encode());
    out
}

/// Reads the ends at their places in a frame without options.
fn flow_in(frame: &[u8]) -> Flow {
    let packet = &frame[14..];
    let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    if packet[0] >> 4 == 4 {
        let ip = |at: usize| -> IpAddr {
            let octets: [u8; 4] = packet[at..at + 4].try_into().expect("four bytes");
            octets.into()
        };
        return Flow {
            protocol: packet[9],
            src: (ip(12), port(20)),
            dst: (ip(16), port(22)),
        };
    }
    let ip = |at: usize| -> IpAddr {
        let octets: [u8; 16] = packet[at..at + 16].try_into().expect("16 bytes");
        octets.into()
    };
    Flow {
        protocol: packet[6],
        src: (ip(8), port(40)),
        dst: (ip(24), port(42)),
    }
}

fn flags() -> impl Strategy<Value = u8> {
    select(vec![0x02_u8, 0x10, 0x10, 0x12])
}

fn begin() -> impl Strategy<Value = Step> {
    let source = (1..4_u32, 0..2_u8, 5000..5003_u16);
    let to = prop_oneof![
        4 => (0..8_usize).prop_map(Some),
        2 => Just(None),
    ];
    let direct = (
        0..4_usize,
        select(vec![UDP, TCP]),
        select(FAMILIES.to_vec()),
    );
    (source, to, direct, flags(), 0..30_usize).prop_map(
        |((on, n, port), service, (at, protocol, family), flags, len)| {
            let (family, protocol, dst) = match service {
                Some(at) => {
                    let service = &services()[at];
                    (family_of(at), service.protocol, service.vip)
                }
                None => (family, protocol, backends(family)[at]),
            };
            let src = (world::host(on, n, family), port);
            let flow = Flow { protocol, src, dst };
            Step::Begin(flow, flags, len)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let reply = select(vec![
        Reply::Same,
        Reply::Answer,
        Reply::Answer,
        Reply::Answer,
        Reply::Error,
        Reply::RouterError,
    ]);
    let update = (0..8_usize).prop_flat_map(|at| {
        let all = backends(family_of(at));
        (Just(at), subsequence(all, 1..=4))
    });
    prop_oneof![
        1 => update.prop_map(|(at, backends)| Step::Backends(at, backends)),
        2 => select(vec![100, 1_500, 7_000, 41_000, 3_700_000]).prop_map(Step::Wait),
        8 => begin(),
        10 => (any::<Index>(), reply, flags()).prop_map(|(at, how, flags)| Step::Again(at, how, flags)),
    ]
}

#[test]
fn packets_show_the_ends_that_a_list_of_connections_says() {
    let counts = [Cell::new(0), Cell::new(0), Cell::new(0)];
    cases(400, &vec(step(), 1..60), |steps| {
        let mut run = Run::new()?;
        for (at, step) in steps.iter().enumerate() {
            match run.step(step, &counts) {
                Ok(true) => {}
                Ok(false) => break,
                Err(text) => return Err(format!("step {at}: {text}")),
            }
        }
        Ok(())
    });
    let [plain, translated, errors] = counts.map(Cell::into_inner);
    assert!(
        plain > 500 && translated > 500 && errors > 200,
        "{plain} plain, {translated} translated, {errors} errors"
    );
}
