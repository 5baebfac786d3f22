//! End.AS, End.AD and End.AM: to a function that knows nothing of segments, and back.

use super::*;
use crate::sr::{ProxyWay, SrError};

/// The function is behind `out`; it sends on `back`.
fn with_function(
    behavior: impl Fn(ProxyWay) -> Behavior,
    next_hop: Option<&str>,
) -> (Lab, SwIfIndex, SwIfIndex) {
    let (mut lab, inside, out) = lab();
    let back = lab.routed("back", &["10.0.2.1/24", "2001:db8:3::1/64"]);
    let via = crate::route::RoutePath::via(addr("2001:db8:1::2"), inside);
    lab.dp
        .ip_route_add_del(0, prefix("fc03::/16"), &[via], true, false)
        .unwrap();
    let way = ProxyWay {
        next_hop: next_hop.map(addr),
        out,
        back,
    };
    lab.dp
        .sr_localsid_add(localsid("fc02::1", behavior(way)))
        .unwrap();
    (lab, inside, back)
}

fn static_proxy(path: &'static [&'static str]) -> impl Fn(ProxyWay) -> Behavior {
    move |way| Behavior::StaticProxy {
        way,
        src: sid("2001:db8::77"),
        path: path.iter().map(|text| sid(text)).collect(),
    }
}

#[test]
fn a_static_proxy_gives_its_own_headers_to_what_comes_back() {
    let inner = udp("10.7.0.2", "10.8.0.2", (1, 2), 300);
    let (mut lab, inside, back) =
        with_function(static_proxy(&["fc03::5", "fc03::6"]), Some("10.0.1.2"));
    for packet in [
        bare("fc02::1", (proto::IPIP, &inner)),
        routed(&["fc02::1", "fc00::9"], 1, (proto::IPIP, &inner)),
    ] {
        assert_eq!(
            lab.route(inside, &packet),
            "out: to 02:aa:00:00:00:02 10.7.0.2 > 10.8.0.2 ttl 63 proto 17\n"
        );
    }
    assert_eq!(
        lab.route(back, &inner),
        "in: to 02:aa:00:00:00:01 2001:db8::77 > fc03::5 hops 63 [1 left of fc03::5 fc03::6] \
         ( 10.7.0.2 > 10.8.0.2 ttl 63 proto 17 )\n"
    );
    let counters = lab.dp.sr_localsids()[0].counters;
    assert_eq!((counters.good.packets, counters.returned.packets), (2, 1));
    let inner = udp("2001:db8:7::2", "2001:db8:8::2", (1, 2), 300);
    assert_eq!(
        lab.route(back, &inner),
        "",
        "a proxy for IPv4 takes no IPv6; there is no route either"
    );
    let (mut lab, inside, back) = with_function(static_proxy(&["fc03::5"]), Some("2001:db8:2::2"));
    assert_eq!(
        lab.route(inside, &bare("fc02::1", (proto::IPV6, &inner))),
        "out: to 02:aa:00:00:00:02 2001:db8:7::2 > 2001:db8:8::2 hops 63 proto 17\n"
    );
    assert_eq!(
        lab.route(back, &inner),
        "in: to 02:aa:00:00:00:01 2001:db8::77 > fc03::5 hops 63 ( 2001:db8:7::2 > 2001:db8:8::2 hops 63 proto 17 )\n"
    );
}

#[test]
fn a_dynamic_proxy_gives_back_the_headers_it_took_off_last() {
    let inner = udp("10.7.0.2", "10.8.0.2", (1, 2), 300);
    let (mut lab, inside, back) = with_function(Behavior::DynamicProxy, Some("10.0.1.2"));
    assert_eq!(lab.route(back, &inner), "");
    assert_eq!(
        lab.drops(),
        ["srv6-proxy-rewrite: (Error) No header for rewriting. = 1"]
    );
    for path in [
        ["fc02::1", "fc03::9", "fc03::a"],
        ["fc02::1", "fc03::b", "fc03::c"],
    ] {
        assert_eq!(
            lab.route(inside, &routed(&path, 2, (proto::IPIP, &inner))),
            "out: to 02:aa:00:00:00:02 10.7.0.2 > 10.8.0.2 ttl 63 proto 17\n"
        );
        let [_, next, last] = path;
        let shorter = udp("10.7.0.2", "10.8.0.2", (1, 2), 20);
        assert_eq!(
            lab.route(back, &shorter),
            format!(
                "in: to 02:aa:00:00:00:01 2001:db8:9::9 > {next} hops 63 [1 left of fc02::1 {next} {last}] \
                 ( 10.7.0.2 > 10.8.0.2 ttl 63 proto 17 )\n"
            )
        );
    }
    lab.route(inside, &bare("fc02::1", (proto::IPIP, &inner)));
    lab.route(
        inside,
        &routed(&["fc00::9", "fc02::1"], 0, (proto::IPIP, &inner)),
    );
    lab.route(
        inside,
        &routed(&["fc02::1", "fc03::9"], 1, (proto::UDP, &[0; 40])),
    );
    let counters = lab.dp.sr_localsids()[0].counters;
    assert_eq!((counters.good.packets, counters.bad.packets), (2, 3));
    assert_eq!(
        (counters.returned.packets, counters.not_returned.packets),
        (2, 1)
    );
}

#[test]
fn proxies_for_frames_take_and_give_whole_frames() {
    let frame = eth(host(7), host(8), &udp("10.7.0.2", "10.8.0.2", (1, 2), 300));
    let (mut lab, inside, back) = with_function(Behavior::DynamicProxy, None);
    let packet = routed(&["fc02::1", "fc03::9"], 1, (proto::ETHERNET, &frame));
    assert_eq!(
        lab.route(inside, &packet),
        "out: to 02:aa:00:00:00:07 10.7.0.2 > 10.8.0.2 ttl 64 proto 17\n"
    );
    assert_eq!(
        lab.tell(back, &frame),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc03::9 hops 63 [0 left of fc02::1 fc03::9] \
         ( to 02:aa:00:00:00:07 10.7.0.2 > 10.8.0.2 ttl 64 proto 17 )\n"
    );
    lab.dp.sr_localsid_del(sid("fc02::1"), 128).unwrap();
    let routed_again = lab.route(back, &udp("10.0.2.2", "10.0.1.2", (1, 2), 30));
    assert!(routed_again.starts_with("out: "), "{routed_again}");
    let (mut lab, _, back) = with_function(static_proxy(&["fc03::5"]), None);
    assert_eq!(
        lab.tell(back, &frame),
        "in: to 02:aa:00:00:00:01 2001:db8::77 > fc03::5 hops 63 \
         ( to 02:aa:00:00:00:07 10.7.0.2 > 10.8.0.2 ttl 64 proto 17 )\n"
    );
}

#[test]
fn a_masquerading_proxy_shows_the_last_segment_until_the_packet_is_back() {
    let (mut lab, inside, back) = with_function(Behavior::Masquerading, Some("2001:db8:2::2"));
    let path = ["fc02::1", "fc03::9", "2001:db8:8::8"];
    let sent = lab.packet_out(inside, &routed(&path, 2, (proto::UDP, &[0; 40])));
    let frame = eth(own_mac(back), host(3), &sent);
    assert!(told(&frame).contains(
        "2001:db8:9::9 > 2001:db8:8::8 hops 63 [1 left of fc02::1 fc03::9 2001:db8:8::8] proto 17"
    ));
    assert_eq!(
        lab.tell(back, &frame),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc03::9 hops 62 [1 left of fc02::1 fc03::9 2001:db8:8::8] proto 17\n"
    );
    lab.route(back, &udp("2001:db8:3::2", "2001:db8:1::2", (1, 2), 30));
    assert_eq!(
        lab.drops(),
        ["srv6-proxy-rewrite: (SR-Error) No SR header = 1"]
    );
    lab.dp.sr_localsid_del(sid("fc02::1"), 128).unwrap();
    let plain = lab.route(back, &udp("2001:db8:3::2", "2001:db8:1::2", (1, 2), 30));
    assert!(plain.starts_with("in: "), "{plain}");
}

#[test]
fn parameters_of_proxies_are_checked() {
    let (mut lab, inside, out) = lab();
    let way = |next_hop: Option<&str>, out, back| ProxyWay {
        next_hop: next_hop.map(addr),
        out,
        back,
    };
    for behavior in [
        Behavior::DynamicProxy(way(None, SwIfIndex(99), inside)),
        Behavior::DynamicProxy(way(None, out, SwIfIndex(99))),
        Behavior::DynamicProxy(way(None, out, SwIfIndex::LOCAL0)),
        Behavior::Masquerading(way(Some("10.0.1.2"), out, inside)),
        Behavior::Masquerading(way(None, out, inside)),
        Behavior::StaticProxy {
            way: way(None, out, inside),
            src: sid("::1"),
            path: vec![],
        },
    ] {
        let text = format!("{behavior:?}");
        assert_eq!(
            lab.dp.sr_localsid_add(localsid("fc02::1", behavior)),
            Err(SrError::ProxyRefused),
            "{text}"
        );
    }
}
