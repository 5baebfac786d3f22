//! `show sr ...`, in the words of VPP.

use std::fmt::{self, Write};

use vswitch::counters::Combined;
use vswitch::sr::{Behavior, PolicyKind, ProxyWay, Steered};

use super::name;
use crate::engine::Engine;

pub(super) fn run(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    match what {
        ["localsids" | "localsid"] => localsids(engine, out),
        ["policies" | "policy"] => policies(engine, out),
        ["steering-policies" | "steering"] => steering(engine, out),
        ["encaps", "source", ..] => {
            writeln!(
                out,
                "SR encaps source addr = {}",
                engine.dataplane.sr_encap().0
            )
        }
        ["encaps", "hop-limit"] => {
            writeln!(
                out,
                "SR encaps hop-limit = {}",
                engine.dataplane.sr_encap().1
            )
        }
        _ => writeln!(
            out,
            "usage: show sr localsids | policies | steering-policies | encaps source addr | encaps hop-limit"
        ),
    }
}

fn localsids(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "SRv6 - My LocalSID Table:\n=========================")?;
    for info in engine.dataplane.sr_localsids() {
        let spec = &info.spec;
        writeln!(out, "\tAddress: \t{}/{}", spec.sid, spec.prefix_len)?;
        behavior(engine, &spec.behavior, out)?;
        if spec.psp {
            writeln!(out, "\tPSP: \tTrue")?;
        }
        let is_proxy = matches!(
            spec.behavior,
            Behavior::StaticProxy { .. } | Behavior::DynamicProxy(_) | Behavior::Masquerading(_)
        );
        let mut rows = vec![
            ("Good traffic: ", info.counters.good),
            ("Bad traffic:  ", info.counters.bad),
        ];
        if is_proxy {
            rows.push(("Good rewrite traffic: ", info.counters.returned));
            rows.push(("Bad rewrite traffic:  ", info.counters.not_returned));
        }
        for (what, Combined { packets, bytes }) in rows {
            writeln!(out, "\t{what}\t[{packets} packets : {bytes} bytes]")?;
        }
        writeln!(out, "--------------------")?;
    }
    Ok(())
}

fn behavior(engine: &Engine, behavior: &Behavior, out: &mut String) -> fmt::Result {
    let name_of = |on| name(engine, on);
    match behavior {
        Behavior::End => writeln!(out, "\tBehavior: \tEnd"),
        Behavior::X { on, next_hop } => writeln!(
            out,
            "\tBehavior: \tX (Endpoint with Layer-3 cross-connect)\n\tIface:  \t{}\n\tNext hop: \t{next_hop}",
            name_of(*on)
        ),
        Behavior::T { table } => writeln!(
            out,
            "\tBehavior: \tT (Endpoint with specific IPv6 table lookup)\n\tTable:  \t{table}"
        ),
        Behavior::Dx2 { on } => writeln!(
            out,
            "\tBehavior: \tDX2 (Endpoint with decapulation and Layer-2 cross-connect)\n\tIface:  \t{}",
            name_of(*on)
        ),
        Behavior::Dx6 { on, next_hop } => writeln!(
            out,
            "\tBehavior: \tDX6 (Endpoint with decapsulation and IPv6 cross-connect)\n\tIface:  \t{}\n\tNext hop: \t{next_hop}",
            name_of(*on)
        ),
        Behavior::Dx4 { on, next_hop } => writeln!(
            out,
            "\tBehavior: \tDX4 (Endpoint with decapsulation and IPv4 cross-connect)\n\tIface:  \t{}\n\tNext hop: \t{next_hop}",
            name_of(*on)
        ),
        Behavior::Dt6 { table } => writeln!(
            out,
            "\tBehavior: \tDT6 (Endpoint with decapsulation and specific IPv6 table lookup)\n\tTable: {table}"
        ),
        Behavior::Dt4 { table } => writeln!(
            out,
            "\tBehavior: \tDT4 (Endpoint with decapsulation and specific IPv4 table lookup)\n\tTable: \t{table}"
        ),
        Behavior::UnPerf => writeln!(out, "\tBehavior: \tuN [End with uSID]"),
        Behavior::Un => writeln!(out, "\tBehavior: \tuN (flex)"),
        Behavior::Ua { on, next_hop } => writeln!(
            out,
            "\tBehavior: \tuA [End with uSID and Layer-3 cross-connect]\n\tIface:  \t{}\n\tNext hop: \t{next_hop}",
            name_of(*on)
        ),
        Behavior::StaticProxy { way, src, path } => {
            writeln!(
                out,
                "\tBehavior: \tEnd.AS (Endpoint with static proxy to SR-unaware appliance)"
            )?;
            proxy_way(engine, way, out)?;
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            writeln!(
                out,
                "\tSource address:\t{src}\n\tSegment list:\t< {} >",
                path.join(", ")
            )
        }
        Behavior::DynamicProxy(way) => {
            writeln!(
                out,
                "\tBehavior: \tEnd.AD (Endpoint with dynamic proxy to SR-unaware appliance)"
            )?;
            proxy_way(engine, way, out)
        }
        Behavior::Masquerading(way) => {
            writeln!(
                out,
                "\tBehavior: \tEnd.AM (Endpoint to SR-unaware appliance via masquerading)"
            )?;
            proxy_way(engine, way, out)
        }
    }
}

fn proxy_way(engine: &Engine, way: &ProxyWay, out: &mut String) -> fmt::Result {
    if let Some(next_hop) = way.next_hop {
        writeln!(out, "\tNext-hop:\t{next_hop}")?;
    }
    let (to, from) = (name(engine, way.out), name(engine, way.back));
    writeln!(out, "\tOutgoing iface:\t{to}\n\tIncoming iface:\t{from}")
}

fn policies(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "SR policies:")?;
    for (at, policy) in engine.dataplane.sr_policies().iter().enumerate() {
        writeln!(out, "[{at}].-\tBSID: {}", policy.bsid)?;
        if policy.is_encap {
            writeln!(
                out,
                "\tBehavior: Encapsulation\n\tEncapSrcIP: {}",
                policy.encap_src
            )?;
        } else {
            writeln!(out, "\tBehavior: SRH insertion")?;
        }
        let kind = match policy.kind {
            PolicyKind::Default => "Default",
            PolicyKind::Spray => "Spray",
        };
        writeln!(
            out,
            "\tType: {kind}\n\tFIB table: {}\n\tSegment Lists:",
            policy.fib_table
        )?;
        for list in &policy.lists {
            let path: Vec<String> = list.segments.iter().map(ToString::to_string).collect();
            writeln!(
                out,
                "  \t[{}].- < {} > weight: {}",
                list.index,
                path.join(", "),
                list.weight
            )?;
        }
        writeln!(out, "-----------")?;
    }
    Ok(())
}

fn steering(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "SR steering policies:\nTraffic\t\tSR policy BSID")?;
    for (steered, bsid) in engine.dataplane.sr_steering() {
        match steered {
            Steered::L2(on) => writeln!(out, "L2 {}\t\t{bsid}", name(engine, on))?,
            Steered::L3 { table: 0, prefix } => writeln!(out, "L3 {prefix}\t\t{bsid}")?,
            Steered::L3 { table, prefix } => writeln!(out, "L3 {prefix} table {table}\t\t{bsid}")?,
        }
    }
    Ok(())
}
