//! `classify filter`: which packets `pcap trace ... filter` and `trace add ... filter` are about.

use std::net::IpAddr;

use vswitch::trace::PacketFilter;

use crate::engine::Engine;

const USAGE: &str = "usage: classify filter pcap|trace [mask ...] match l3 ip4|ip6 [src <ip>] [dst <ip>] [proto <n>] \
     [l4 [src_port <n>] [dst_port <n>]] | del\n";

pub(super) fn run(engine: &mut Engine, words: &[&str]) -> String {
    let [which @ ("pcap" | "trace"), rest @ ..] = words else {
        return USAGE.to_owned();
    };
    let filter = match rest {
        ["del"] => None,
        _ => match parse(rest) {
            Some(filter) => Some(filter),
            None => return USAGE.to_owned(),
        },
    };
    if *which == "pcap" {
        engine.pcap_filter = filter;
    } else {
        engine.packet_filter = filter;
    }
    String::new()
}

/// The mask repeats the names of the fields; what counts is the match.
fn parse(words: &[&str]) -> Option<PacketFilter> {
    let at = words.iter().position(|word| *word == "match")?;
    let mut words = words.get(at + 1..)?.iter();
    let mut filter = PacketFilter::default();
    let mut is_v6 = None;
    let of_family = |text: &str, is_v6: Option<bool>| {
        let ip: IpAddr = text.parse().ok()?;
        (Some(ip.is_ipv6()) == is_v6).then_some(ip)
    };
    while let Some(word) = words.next() {
        match *word {
            "l3" | "l4" => {}
            "ip4" => is_v6 = Some(false),
            "ip6" => is_v6 = Some(true),
            "src" => filter.src = Some(of_family(words.next()?, is_v6)?),
            "dst" => filter.dst = Some(of_family(words.next()?, is_v6)?),
            "proto" => filter.protocol = Some(words.next()?.parse().ok()?),
            "src_port" => filter.src_port = Some(words.next()?.parse().ok()?),
            "dst_port" => filter.dst_port = Some(words.next()?.parse().ok()?),
            _ => return None,
        }
    }
    (filter != PacketFilter::default()).then_some(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_what_its_match_says() {
        let parse = |text: &str| parse(&text.split(' ').collect::<Vec<_>>());
        let filter = parse("mask l3 ip4 src match l3 ip4 src 10.0.0.1 proto 17 l4 dst_port 53");
        let expected = PacketFilter {
            src: Some("10.0.0.1".parse().unwrap()),
            protocol: Some(17),
            dst_port: Some(53),
            ..PacketFilter::default()
        };
        assert_eq!(filter, Some(expected));
        for bad in [
            "mask l3 ip4 src",
            "match",
            "match l3 ip6 src 10.0.0.1",
            "match l3 ip4 src",
            "match l2 foo",
            "match l3 ip4 proto 300",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
