//! The commands of segment routing, in VPP's words: `sr localsid`, `sr policy`, `sr steer`, `set sr encaps`.
//! The proxies can be set up in no other way.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use vswitch::sr::{
    Behavior, LocalsidSpec, PolicyChange, PolicyKind, PolicySpec, ProxyWay, Steered,
};
use vswitch::{Dataplane, Prefix, SwIfIndex};

use crate::engine::Engine;

pub(super) const USAGE: &str = "sr localsid [del] address <SID> | prefix <SID>/<n> [fib-table <n>] [psp] behavior \
     end | end.x <if> <nh> | end.t <n> | end.dx2 <if> | end.dx4|6 <if> <nh> | end.dt4|6 <n> | un <n> | un.flex <n> | ua <n> <if> <nh> | \
     end.ad [nh <nh>] oif <if> iif <if> | end.as [nh <nh>] oif <if> iif <if> src <addr> next <SID>... | end.am nh <nh> oif <if> iif <if>; \
     sr policy add|del|mod bsid <SID> ... ; sr steer [del] l3 <prefix> | l2 <if> via bsid <SID> [fib-table <n>]; \
     set sr encaps source addr <addr> | hop-limit <n>; clear sr localsid-counters";

/// Runs what follows `sr`; errors are text, as in VPP.
pub(super) fn run(engine: &mut Engine, words: &[&str]) -> String {
    let dataplane = &mut engine.dataplane;
    let outcome = match words {
        ["localsid", words @ ..] => localsid(dataplane, &mut Words(words)),
        ["policy", words @ ..] => policy(dataplane, &mut Words(words)),
        ["steer", words @ ..] => steer(dataplane, &mut Words(words)),
        _ => Err(format!("unknown input\nhint: {USAGE}")),
    };
    told(outcome)
}

/// Runs what follows `set sr encaps`.
pub(super) fn set(engine: &mut Engine, words: &[&str]) -> String {
    let dataplane = &mut engine.dataplane;
    told(match words {
        ["source", "addr", source] => {
            parse(source, "an IPv6 address").map(|source| dataplane.sr_set_encap_source(source))
        }
        ["hop-limit", limit] => parse(limit, "a hop limit from 1 to 255").and_then(|limit| {
            dataplane
                .sr_set_encap_hop_limit(limit)
                .map_err(|error| error.to_string())
        }),
        _ => Err(format!("unknown input\nhint: {USAGE}")),
    })
}

fn told(outcome: Result<(), String>) -> String {
    match outcome {
        Ok(()) => String::new(),
        Err(error) => format!("sr: {error}\n"),
    }
}

/// The words of a command that are not read yet.
struct Words<'a>(&'a [&'a str]);

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or_else(|| format!("{what} is missing"))?;
        self.0 = rest;
        Ok(first)
    }

    fn peek(&self) -> Option<&'a str> {
        self.0.first().copied()
    }

    fn parse<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        parse(self.next(what)?, what)
    }

    fn interface(&mut self, dataplane: &Dataplane) -> Result<SwIfIndex, String> {
        let name = self.next("an interface")?;
        dataplane
            .interface_by_name(name)
            .ok_or_else(|| format!("there is no interface `{name}`"))
    }
}

fn parse<T: FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is not {what}"))
}

fn localsid(dataplane: &mut Dataplane, words: &mut Words<'_>) -> Result<(), String> {
    let (mut del, mut psp, mut fib_table, mut sid) = (false, false, 0, None);
    let mut behavior = None;
    while let Some(word) = words.peek() {
        words.next(word)?;
        match word {
            "del" => del = true,
            "psp" => psp = true,
            "fib-table" => fib_table = words.parse("a table")?,
            "address" | "addr" => sid = Some((words.parse("an IPv6 address")?, None)),
            "prefix" => {
                let prefix: Prefix = words.parse("an IPv6 prefix")?;
                let IpAddr::V6(address) = prefix.addr else {
                    return Err(format!("`{prefix}` is not an IPv6 prefix"));
                };
                sid = Some((address, Some(prefix.len)));
            }
            "behavior" => behavior = Some(read_behavior(dataplane, words)?),
            other => return Err(format!("`{other}` is unknown\nhint: {USAGE}")),
        }
    }
    let (sid, prefix_len): (Ipv6Addr, Option<u8>) =
        sid.ok_or("the address of the local SID is missing")?;
    if del {
        let len = prefix_len.unwrap_or(128);
        return dataplane
            .sr_localsid_del(sid, len)
            .map_err(|e| e.to_string());
    }
    let (behavior, usid_len) = match behavior {
        Some(behavior) => behavior,
        None if psp => (Behavior::End, 0),
        None => return Err("the behavior of the local SID is missing".to_owned()),
    };
    if psp && !matches!(behavior, Behavior::End | Behavior::X { .. }) {
        return Err("psp goes with end and end.x only".to_owned());
    }
    let spec = LocalsidSpec {
        sid,
        prefix_len: prefix_len.unwrap_or(128),
        usid_len,
        psp,
        fib_table,
        behavior,
    };
    dataplane.sr_localsid_add(spec).map_err(|e| e.to_string())
}

/// A behaviour, and the length of its micro-SIDs in bits.
fn read_behavior(dataplane: &Dataplane, words: &mut Words<'_>) -> Result<(Behavior, u8), String> {
    let name = words.next("a behavior")?;
    let behavior = match name {
        "end" => Behavior::End,
        "end.x" => Behavior::X {
            on: words.interface(dataplane)?,
            next_hop: words.parse("an IPv6 next hop")?,
        },
        "end.t" => Behavior::T {
            table: words.parse("a table")?,
        },
        "end.dx2" => Behavior::Dx2 {
            on: words.interface(dataplane)?,
        },
        "end.dx4" => Behavior::Dx4 {
            on: words.interface(dataplane)?,
            next_hop: words.parse("an IPv4 next hop")?,
        },
        "end.dx6" => Behavior::Dx6 {
            on: words.interface(dataplane)?,
            next_hop: words.parse("an IPv6 next hop")?,
        },
        "end.dt4" => Behavior::Dt4 {
            table: words.parse("a table")?,
        },
        "end.dt6" => Behavior::Dt6 {
            table: words.parse("a table")?,
        },
        "un" => return Ok((Behavior::UnPerf, words.parse("a length of 16 or 32")?)),
        "un.flex" => return Ok((Behavior::Un, words.parse("a length of 16 or 32")?)),
        "ua" => {
            let len = words.parse("a length of 16 or 32")?;
            let on = words.interface(dataplane)?;
            let next_hop = words.parse("an IPv6 next hop")?;
            return Ok((Behavior::Ua { on, next_hop }, len));
        }
        "end.ad" | "end.as" | "end.am" => read_proxy(dataplane, name, words)?,
        other => return Err(format!("`{other}` is no behavior\nhint: {USAGE}")),
    };
    Ok((behavior, 0))
}

fn read_proxy(
    dataplane: &Dataplane,
    name: &str,
    words: &mut Words<'_>,
) -> Result<Behavior, String> {
    let (mut next_hop, mut out, mut back, mut src) = (None, None, None, None);
    let mut path = Vec::new();
    while let Some(word @ ("nh" | "oif" | "iif" | "src" | "next")) = words.peek() {
        words.next(word)?;
        match word {
            "nh" => next_hop = Some(words.parse("a next hop")?),
            "oif" => out = Some(words.interface(dataplane)?),
            "iif" => back = Some(words.interface(dataplane)?),
            "src" => src = Some(words.parse("an IPv6 address")?),
            _ => path.push(words.parse("a SID")?),
        }
    }
    let way = ProxyWay {
        next_hop,
        out: out.ok_or("oif is missing")?,
        back: back.ok_or("iif is missing")?,
    };
    Ok(match name {
        "end.ad" => Behavior::DynamicProxy(way),
        "end.am" => Behavior::Masquerading(way),
        _ => Behavior::StaticProxy {
            way,
            src: src.ok_or("src is missing")?,
            path,
        },
    })
}

fn policy(dataplane: &mut Dataplane, words: &mut Words<'_>) -> Result<(), String> {
    let verb = words.next("add, del or mod")?;
    let (mut bsid, mut segments, mut weight) = (None, Vec::new(), u32::MAX);
    let (mut encap_src, mut fib_table) = (Ipv6Addr::UNSPECIFIED, u32::MAX);
    let (mut is_encap, mut kind, mut operation) = (true, PolicyKind::Default, None);
    while let Some(word) = words.peek() {
        words.next(word)?;
        match word {
            "bsid" => bsid = Some(words.parse("a binding SID")?),
            "next" => segments.push(words.parse("a SID")?),
            "weight" => weight = words.parse("a weight")?,
            "v6src" => encap_src = words.parse("an IPv6 address")?,
            "fib-table" => fib_table = words.parse("a table")?,
            "encap" => is_encap = true,
            "insert" => is_encap = false,
            "spray" => kind = PolicyKind::Spray,
            "add" | "del" | "mod" => {
                let list = match (words.next("`sl`")?, word) {
                    ("sl", "add") => 0,
                    ("sl", _) if words.next("`index`")? == "index" => {
                        words.parse("the index of a segment list")?
                    }
                    _ => return Err(format!("what to {word} is missing\nhint: {USAGE}")),
                };
                operation = Some((word, list));
            }
            other => return Err(format!("`{other}` is unknown\nhint: {USAGE}")),
        }
    }
    let bsid = bsid.ok_or("the binding SID is missing")?;
    let outcome = match (verb, operation) {
        ("add", _) => dataplane.sr_policy_add(&PolicySpec {
            bsid,
            kind,
            is_encap,
            fib_table,
            encap_src,
            segments,
            weight,
        }),
        ("del", _) => dataplane.sr_policy_del(bsid),
        ("mod", Some((operation, list))) => {
            let change = match operation {
                "add" => PolicyChange::Add {
                    segments,
                    encap_src,
                    weight,
                },
                "del" => PolicyChange::Del { list },
                _ => PolicyChange::Weigh { list, weight },
            };
            dataplane.sr_policy_mod(bsid, &change)
        }
        _ => return Err(format!("unknown input\nhint: {USAGE}")),
    };
    outcome.map_err(|error| error.to_string())
}

fn steer(dataplane: &mut Dataplane, words: &mut Words<'_>) -> Result<(), String> {
    let (mut del, mut bsid, mut table) = (false, None, u32::MAX);
    let (mut to, mut on) = (None, None);
    while let Some(word) = words.peek() {
        words.next(word)?;
        match word {
            "del" => del = true,
            "l3" => to = Some(words.parse::<Prefix>("a prefix")?.masked()),
            "l2" => on = Some(words.interface(dataplane)?),
            "via" => {
                words.next("`bsid`")?;
                bsid = Some(words.parse("a binding SID")?);
            }
            "fib-table" => table = words.parse("a table")?,
            other => return Err(format!("`{other}` is unknown\nhint: {USAGE}")),
        }
    }
    let steered = match (on, to) {
        (Some(on), None) => Steered::L2(on),
        (None, Some(prefix)) => Steered::L3 { table, prefix },
        _ => return Err("either l2 or l3 traffic must be given".to_owned()),
    };
    let outcome = if del {
        dataplane.sr_steering_del(steered)
    } else {
        dataplane.sr_steering_add(steered, bsid.ok_or("via bsid is missing")?)
    };
    outcome.map_err(|error| error.to_string())
}
