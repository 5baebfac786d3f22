//! `show npol` and `show acl-plugin sessions`.

use std::fmt::{self, Write};

use vswitch::npol::{Criterion, Entry, Filter, FilterKind, Member, RuleSpec};
use vswitch::session::{FlowTable, KEY_WORDS, Tuple};

use super::name;
use crate::engine::Engine;

/// Members of a set, and flows of a table, that are shown.
const SHOWN_MAX: usize = 1000;

pub(super) fn npol(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    match what {
        ["ipsets"] => ipsets(engine, out),
        ["rules"] => rules(engine, out),
        ["policies", ..] => policies(engine, out),
        ["interfaces"] => interfaces(engine, out),
        ["flows" | "sessions"] => flows(engine, engine.dataplane.npol_flows(), out),
        _ => writeln!(
            out,
            "usage: show npol ipsets | rules | policies | interfaces | flows"
        ),
    }
}

fn ipsets(engine: &Engine, out: &mut String) -> fmt::Result {
    for (id, kind, members) in engine.dataplane.npol_ipsets() {
        writeln!(out, "ipset {id} {kind:?}, {} members", members.len())?;
        for member in members.iter().take(SHOWN_MAX) {
            match member {
                Member::Ip(ip) => writeln!(out, "  {ip}")?,
                Member::Net(net) => writeln!(out, "  {net}")?,
                Member::IpAndPort(ip, protocol, port) => {
                    writeln!(out, "  protocol {protocol} {ip} port {port}")?;
                }
            }
        }
        if members.len() > SHOWN_MAX {
            writeln!(out, "  ...")?;
        }
    }
    Ok(())
}

fn rules(engine: &Engine, out: &mut String) -> fmt::Result {
    for (id, rule) in engine.dataplane.npol_rules() {
        let RuleSpec {
            action,
            filters,
            entries,
        } = rule;
        write!(out, "rule {id} {action:?}")?;
        filters.iter().try_for_each(|f| filter(f, out))?;
        entries.iter().try_for_each(|e| entry(e, out))?;
        writeln!(out)?;
    }
    Ok(())
}

fn filter(filter: &Filter, out: &mut String) -> fmt::Result {
    let what = match filter.kind {
        FilterKind::IcmpType => "icmp-type",
        FilterKind::IcmpCode => "icmp-code",
        FilterKind::Protocol => "proto",
    };
    let sign = if filter.should_match { "==" } else { "!=" };
    write!(out, " {what}{sign}{}", filter.value)
}

fn entry(entry: &Entry, out: &mut String) -> fmt::Result {
    let end = if entry.is_src { "src" } else { "dst" };
    let sign = if entry.is_not { "!=" } else { "==" };
    write!(out, " {end}{sign}")?;
    match entry.criterion {
        Criterion::Cidr(prefix) => write!(out, "{prefix}"),
        Criterion::Ports(range) => write!(out, "[{}-{}]", range.first, range.last),
        Criterion::PortIpSet(id) | Criterion::IpSet(id) => write!(out, "set {id}"),
    }
}

fn policies(engine: &Engine, out: &mut String) -> fmt::Result {
    for (id, policy) in engine.dataplane.npol_policies() {
        let (rx, tx) = (&policy.rx, &policy.tx);
        writeln!(out, "policy {id} rx rules {rx:?} tx rules {tx:?}")?;
    }
    Ok(())
}

fn interfaces(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "Interfaces with policies configured:")?;
    for (on, policies) in engine.dataplane.npol_interfaces() {
        let inverted = if policies.invert_rx_tx {
            " inverted"
        } else {
            ""
        };
        writeln!(out, "{} sw_if_index {on}{inverted}", name(engine, on))?;
        let verdicts = engine.dataplane.npol_verdicts(on);
        for (way, ids, default, allow, deny) in [
            (
                "rx",
                &policies.rx,
                (policies.policy_default_rx, policies.profile_default_rx),
                verdicts.rx_allow,
                verdicts.rx_deny,
            ),
            (
                "tx",
                &policies.tx,
                (policies.policy_default_tx, policies.profile_default_tx),
                verdicts.tx_allow,
                verdicts.tx_deny,
            ),
        ] {
            writeln!(
                out,
                "  {way} policies {ids:?} default {:?}, profiles {:?} default {:?}, allowed {allow}, denied {deny}",
                default.0, policies.profiles, default.1
            )?;
        }
    }
    Ok(())
}

pub(super) fn acl_sessions(engine: &Engine, out: &mut String) -> fmt::Result {
    flows(engine, engine.dataplane.acl_flows(), out)
}

fn flows(engine: &Engine, table: &FlowTable<KEY_WORDS, 1>, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{} flows, {} at most, {} bytes",
        table.len(),
        table.limit(),
        table.bytes()
    )?;
    let mut shown = Vec::new();
    table.for_each(engine.now(), |key, _| {
        if shown.len() < SHOWN_MAX {
            shown.push(Tuple::of_words(*key));
        }
    });
    for tuple in shown.iter().filter(|tuple| !tuple.fragments) {
        writeln!(
            out,
            "  sw_if_index {} protocol {} {} port {} - {} port {}",
            tuple.scope.number(),
            tuple.protocol,
            tuple.src_ip(),
            tuple.src_port,
            tuple.dst_ip(),
            tuple.dst_port
        )?;
    }
    Ok(())
}
