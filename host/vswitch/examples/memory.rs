//! Says how many bytes routes, members of sets and flows take, one each: `memory [[what] count]`.
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::Command;

use packet::{MacAddr, ethernet, ipv4, proto, udp};
use vswitch::cnat::{Balance, Endpoint, Path, TranslationSpec};
use vswitch::dataplane::flows::FlowLimits;
use vswitch::interface::DeviceSpec;
use vswitch::neighbor::NeighborFlags;
use vswitch::npol::{InterfacePolicies, IpSetKind, Member};
use vswitch::route::RoutePath;
use vswitch::{Batch, Dataplane, Nanos, Offload, Prefix, SwIfIndex};

type Failure = Box<dyn Error>;

const PEER: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 9]);
const PORT: u16 = 9;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => every(1_000_000),
        [count] => every(count.parse()?),
        [what, count] => one(what, count.parse()?),
        _ => Err("usage: memory [[what] count]".into()),
    }
}

/// Each in a process of its own, since freed memory stays resident.
fn every(count: u32) -> Result<(), Failure> {
    for what in ["route", "address", "prefix", "policies", "service"] {
        let arguments = [what.to_owned(), count.to_string()];
        let status = Command::new(std::env::current_exe()?)
            .args(arguments)
            .status()?;
        if !status.success() {
            return Err(format!("`{what}` failed").into());
        }
    }
    Ok(())
}

fn one(what: &str, count: u32) -> Result<(), Failure> {
    match what {
        "route" => per("route, /24 through one of two next hops", count, routes),
        "address" => per("member of a set of addresses", count, |count| {
            members(count, IpSetKind::Ip, |n| Member::Ip(n.into()))
        }),
        "prefix" => per("member of a set of prefixes, /24", count, |count| {
            let net = |n: Ipv4Addr| Prefix {
                addr: Ipv4Addr::from_bits(n.to_bits() << 8).into(),
                len: 24,
            };
            members(count, IpSetKind::Net, |n| Member::Net(net(n)))
        }),
        "policies" => per("flow of policies, of one interface", count, |count| {
            // In and out again by one interface are two.
            flows(count / 2, true)
        }),
        "service" => per("flow of services, both directions", count, |count| {
            flows(count, false)
        }),
        other => Err(format!("`{other}` is not measured").into()),
    }
}

/// Prints what is resident more by each of `count` after `fill`, while what it made lives.
fn per<T>(
    what: &str,
    count: u32,
    fill: impl FnOnce(u32) -> Result<T, Failure>,
) -> Result<(), Failure> {
    let before = resident()?;
    let made = fill(count)?;
    let bytes = f64::from(resident()?.saturating_sub(before)) * 1024.0;
    drop(made);
    println!("{what}: {:.0} B", bytes / f64::from(count));
    Ok(())
}

/// The resident set in KiB.
fn resident() -> Result<u32, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no resident set")?.parse()?)
}

fn routes(count: u32) -> Result<Dataplane, Failure> {
    let (mut dp, on) = world()?;
    let path = |n| RoutePath::via(Ipv4Addr::new(10, 1, 0, n).into(), on);
    let paths = [path(2), path(3)];
    for n in 0..count {
        let prefix = Prefix {
            addr: Ipv4Addr::from_bits((16 << 24) + (n << 8)).into(),
            len: 24,
        };
        let one = &paths[usize::from(n & 1 == 1)];
        dp.ip_route_add_del(0, prefix, std::slice::from_ref(one), true, false)?;
    }
    Ok(dp)
}

fn members(
    count: u32,
    kind: IpSetKind,
    member: impl Fn(Ipv4Addr) -> Member,
) -> Result<Dataplane, Failure> {
    let mut dp = Dataplane::new();
    let set = dp.npol_ipset_create(kind)?;
    let all = (0..count).map(|n| Ok(member(Ipv4Addr::from_bits(n))));
    dp.npol_ipset_add_del_members(set, true, all)?;
    Ok(dp)
}

fn flows(count: u32, is_policy: bool) -> Result<Dataplane, Failure> {
    let (mut dp, on) = world()?;
    let limit = usize::try_from(count)?;
    dp.set_flow_limits(FlowLimits {
        npol: limit * 2,
        cnat: limit * 2,
        ..FlowLimits::default()
    });
    let (peer, vip) = (Ipv4Addr::new(10, 1, 0, 2), Ipv4Addr::new(10, 96, 0, 1));
    let dst = if is_policy { peer } else { vip };
    if is_policy {
        dp.npol_configure_policies(on, InterfacePolicies::default())?;
    } else {
        dp.feature_cnat_enable_disable(on, true)?;
        dp.cnat_translation_update(&TranslationSpec {
            vip: Endpoint::new(vip.into(), PORT),
            protocol: proto::UDP,
            flags: 0,
            exclusive: true,
            balance: Balance::Maglev,
            flow_hash: 0,
            paths: vec![Path::to(peer.into(), PORT)],
        })?;
    }
    let mac = dp.interface(on)?.mac;
    let tables = dp.publish();
    let (mut worker, mut batch) = (dp.new_worker(), Batch::new());
    let mut sent = 0;
    for n in 0..count {
        let client = Ipv4Addr::from_bits((172 << 24) + n);
        batch.push(on, &frame(mac, client, dst)?, None, Offload::default())?;
        if batch.is_full() || n + 1 == count {
            worker.run(&tables, &mut batch, Nanos(1_000_000_000));
            sent += batch.tx_lists().map(|(_, ids)| ids.len()).sum::<usize>();
            batch.clear();
        }
    }
    if sent < limit * 9 / 10 {
        return Err(format!("{sent} of {count} packets were sent").into());
    }
    Ok(dp)
}

fn world() -> Result<(Dataplane, SwIfIndex), Failure> {
    let mut dp = Dataplane::new();
    let on = dp.create_device_interface(DeviceSpec {
        name: "device".to_owned(),
        link_up: true,
        ..DeviceSpec::default()
    })?;
    dp.set_flags(on, true)?;
    dp.add_del_address(
        on,
        true,
        Prefix::new(Ipv4Addr::new(10, 1, 0, 1).into(), 24)?,
    )?;
    let fixed = NeighborFlags {
        is_static: true,
        no_fib_entry: false,
    };
    let peer = Ipv4Addr::new(10, 1, 0, 2).into();
    dp.ip_neighbor_add_del(on, peer, PEER, fixed, true, Nanos(0))?;
    Ok((dp, on))
}

fn frame(mac: MacAddr, src: Ipv4Addr, dst: Ipv4Addr) -> Result<[u8; 60], Failure> {
    let mut out = [0; 60];
    ethernet::emit(&mut out, mac, PEER, ethernet::IPV4);
    let header = ipv4::Header {
        tos: 0,
        total_len: 46,
        ident: 0,
        fragment_word: 0,
        ttl: 64,
        protocol: proto::UDP,
        src,
        dst,
    };
    let ip = out.get_mut(ethernet::HEADER_LEN..).ok_or("short")?;
    header.emit(ip);
    udp::emit(ip.get_mut(20..).ok_or("short")?, 1024, PORT, 26, 0);
    Ok(out)
}
