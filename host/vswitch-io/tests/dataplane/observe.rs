//! What an operator sees: captures, traces, counters, and the debug CLI.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use vpp_api::acl::{AclAddReplace, AclInterfaceSetAclList, AclStatsIntfCountersEnable};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::fib_types::{FibPath, FibPathNh};
use vpp_api::interface::{PcapTraceOff, PcapTraceOn};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::tapv2::TapFlags;
use vpp_api::tracedump::{
    TraceCapturePackets, TraceClearCapture, TraceFilterFlag, TraceSetFilters, TraceV2Dump,
};
use vpp_api::vlib::GetNodeIndex;
use vpp_api::{ApiError, FixedString};
use vpp_api_client::stats::StatsSegment;

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::expect_ping;

async fn pods() -> (Switch, Vec<InterfaceIndex>, Namespace, Namespace) {
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    let switch = Switch::start(None, 2).await;
    let mut taps = Vec::new();
    for (pod, n) in [(&a, 1), (&b, 2)] {
        let tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        taps.push(tap);
    }
    expect_ping(&a, "10.1.2.2");
    (switch, taps, a, b)
}

/// Records of a pcap file: original length, bytes.
fn records(path: &Path) -> Vec<(u32, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "magic and link type");
    let mut at = 24;
    let mut all = Vec::new();
    while at < bytes.len() {
        let held = word(at + 8) as usize;
        all.push((word(at + 12), bytes[at + 16..at + 16 + held].to_vec()));
        at += 16 + held;
    }
    all
}

/// What `tcpdump` makes of a file; `None`, and a loud line, when it is not there.
#[expect(clippy::print_stderr, reason = "a skipped check must be seen")]
fn tcpdump(path: &Path) -> Option<String> {
    let output = Command::new("tcpdump")
        .args(["-n", "-e", "-r"])
        .arg(path)
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: `tcpdump` is not installed, captures are read by the test only");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn capture(name: &str) -> (PcapTraceOn, PathBuf) {
    let file = format!("weft-{}-{name}.pcap", std::process::id());
    let request = PcapTraceOn {
        capture_rx: true,
        filename: FixedString::truncated(&file),
        ..PcapTraceOn::default()
    };
    (request, Path::new("/tmp").join(file))
}

#[tokio::test]
async fn a_capture_has_whole_packets_of_its_interface_and_tcpdump_reads_it() {
    if !is_permitted() {
        return;
    }
    let (switch, taps, a, _b) = pods().await;
    let (request, path) = capture("both");
    let request = PcapTraceOn {
        capture_tx: true,
        sw_if_index: taps[0],
        ..request
    };
    switch.api.request(&request).await.unwrap();
    let again = switch.api.request(&request).await;
    assert!(again.is_err(), "a second capture is refused");
    a.run("ping -n -c 3 -i 0.2 -s 400 10.1.2.2");
    let status = switch.cli("pcap trace status").await;
    assert!(
        status.contains("pcap rx tx dispatch capture enabled"),
        "{status}"
    );
    switch.api.request(&PcapTraceOff::default()).await.unwrap();
    let off = switch.api.request(&PcapTraceOff::default()).await;
    assert!(off.is_err(), "there is nothing to end");
    // Three requests in, three answers out; ARP may come between.
    let echoes: Vec<_> = records(&path)
        .into_iter()
        .filter(|(len, _)| *len == 14 + 20 + 8 + 400)
        .collect();
    assert_eq!(echoes.len(), 6);
    for (len, bytes) in &echoes {
        assert_eq!(bytes.len(), *len as usize, "not cut");
        // The payload counts up behind a time stamp, and lies behind the head that the graph edits.
        assert_eq!(bytes[14 + 28 + 300], bytes[14 + 28 + 299].wrapping_add(1));
    }
    if let Some(text) = tcpdump(&path) {
        let count = |what: &str| text.lines().filter(|l| l.contains(what)).count();
        assert_eq!(count("10.1.1.2 > 10.1.2.2: ICMP echo request"), 3, "{text}");
        assert_eq!(count("10.1.2.2 > 10.1.1.2: ICMP echo reply"), 3, "{text}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_capture_is_limited_by_filter_count_length_and_reason() {
    if !is_permitted() {
        return;
    }
    let (switch, _, a, _b) = pods().await;
    let (request, path) = capture("filtered");
    let line = "classify filter pcap mask l3 ip4 src match l3 ip4 src 10.1.2.2 proto 1";
    assert_eq!(switch.cli(line).await, "");
    let request = PcapTraceOn {
        filter: true,
        max_packets: 2,
        max_bytes_per_packet: 60,
        ..request
    };
    switch.api.request(&request).await.unwrap();
    a.run("ping -n -c 4 -i 0.2 10.1.2.2");
    switch.api.request(&PcapTraceOff::default()).await.unwrap();
    let found = records(&path);
    assert_eq!(found.len(), 2, "the limit");
    for (len, bytes) in &found {
        assert_eq!((*len, bytes.len()), (98, 60), "cut");
        assert_eq!(bytes[26..30], [10, 1, 2, 2], "the filter");
    }
    let request = PcapTraceOn {
        capture_rx: false,
        capture_drop: true,
        filter: false,
        max_packets: 100,
        max_bytes_per_packet: 512,
        error: FixedString::truncated("ip4-lookup.route says drop"),
        ..request
    };
    switch.api.request(&request).await.unwrap();
    a.try_run("ping -n -c 2 -i 0.2 -W 1 10.99.99.99");
    a.try_run("ping -n -c 1 -W 1 -t 1 10.1.2.2");
    switch.api.request(&PcapTraceOff::default()).await.unwrap();
    let found = records(&path);
    assert_eq!(found.len(), 2, "packets without a route, no others");
    assert!(found.iter().all(|(_, b)| b[30..34] == [10, 99, 99, 99]));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn packets_without_link_header_get_one_in_the_file() {
    if !is_permitted() {
        return;
    }
    let pod = Namespace::new("a");
    let switch = Switch::start(None, 1).await;
    let mut request = PodConfig::routed(1).request(&pod);
    request.tap_flags = TapFlags::TUN;
    let tun = switch.api.request(&request).await.unwrap().sw_if_index;
    switch.up(tun).await;
    switch.address(tun, "10.1.1.1/24").await;
    expect_ping(&pod, "10.1.1.1");
    let (request, path) = capture("tun");
    let request = PcapTraceOn {
        capture_tx: true,
        capture_drop: true,
        ..request
    };
    switch.api.request(&request).await.unwrap();
    pod.run("ping -n -c 1 10.1.1.1");
    pod.try_run("ping -n -c 1 -W 1 10.99.99.99");
    switch.api.request(&PcapTraceOff::default()).await.unwrap();
    let found = records(&path);
    // Echo and answer; the echo to nowhere as received and as dropped.
    let to = |ip: [u8; 4]| found.iter().filter(|(_, b)| b[30..34] == ip).count();
    assert_eq!(
        (to([10, 1, 1, 1]), to([10, 1, 1, 2]), to([10, 99, 99, 99])),
        (1, 1, 2)
    );
    assert!(
        found
            .iter()
            .all(|(len, b)| *len == 98 && b[12..15] == [8, 0, 0x45])
    );
    if let Some(text) = tcpdump(&path) {
        assert!(
            text.contains("10.1.1.2 > 10.1.1.1: ICMP echo request"),
            "{text}"
        );
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_capture_that_is_not_allowed_is_refused() {
    let switch = Switch::start(None, 1).await;
    let (good, _) = capture("refused");
    let with_name = |name: &str| PcapTraceOn {
        filename: FixedString::truncated(name),
        ..good.clone()
    };
    let refused = |outcome: Result<_, _>, expected: ApiError| {
        let text = format!("{outcome:?}");
        assert!(text.contains(&format!("{expected:?}")), "{text}");
    };
    for name in ["/etc/passwd", "../up", "a/b", ".hidden"] {
        let outcome = switch.api.request(&with_name(name)).await;
        refused(outcome.map(drop), ApiError::IllegalName);
    }
    for bad in [
        PcapTraceOn {
            max_packets: 0,
            ..good.clone()
        },
        PcapTraceOn {
            max_bytes_per_packet: 9001,
            ..good.clone()
        },
        PcapTraceOn {
            sw_if_index: InterfaceIndex(77),
            ..good.clone()
        },
        PcapTraceOn {
            error: FixedString::truncated("no.such"),
            ..good.clone()
        },
        PcapTraceOn {
            capture_rx: false,
            ..good.clone()
        },
    ] {
        assert!(switch.api.request(&bad).await.is_err(), "{bad:?}");
    }
    let (good, path) = capture("empty");
    switch.api.request(&good).await.unwrap();
    let outcome = switch.api.request(&PcapTraceOff::default()).await;
    refused(outcome.map(drop), ApiError::NoSuchEntry);
    assert!(records(&path).is_empty());
    std::fs::remove_file(&path).unwrap();
    let outcome = switch.api.request(&PcapTraceOff::default()).await;
    refused(outcome.map(drop), ApiError::ValueExist);
}

async fn node(switch: &Switch, name: &str) -> u32 {
    let request = GetNodeIndex {
        node_name: FixedString::truncated(name),
    };
    switch.api.request(&request).await.unwrap().node_index
}

fn trace_at(node_index: u32) -> TraceCapturePackets {
    TraceCapturePackets {
        node_index,
        max_packets: 100,
        pre_capture_clear: true,
        ..TraceCapturePackets::default()
    }
}

async fn traced(switch: &Switch) -> String {
    let records = switch.api.dump(&TraceV2Dump::default()).await.unwrap();
    records.into_iter().map(|r| r.trace_data).collect()
}

#[tokio::test]
async fn a_trace_is_limited_to_input_node_and_graph_node() {
    if !is_permitted() {
        return;
    }
    let (switch, _, a, _b) = pods().await;
    let lookup = node(&switch, "ip4-lookup").await;
    let refused = switch.api.request(&trace_at(lookup)).await;
    assert!(
        format!("{refused:?}").contains(&format!("{:?}", ApiError::NoSuchNode)),
        "{refused:?}"
    );
    // Nothing comes in by a memif here.
    let memif = trace_at(node(&switch, "memif-input").await);
    switch.api.request(&memif).await.unwrap();
    a.run("ping -n -c 1 -W 2 10.1.2.2");
    assert_eq!(traced(&switch).await, "");
    let tap = trace_at(node(&switch, "virtio-input").await);
    switch.api.request(&tap).await.unwrap();
    a.run("ping -n -c 1 -W 2 10.1.2.2");
    a.run("ping -n -c 1 -W 2 10.1.1.1");
    let all = traced(&switch).await;
    assert!(
        all.contains("10.1.1.2 -> 10.1.2.2") && all.contains("10.1.1.2 -> 10.1.1.1"),
        "{all}"
    );
    let local = node(&switch, "ip4-local").await;
    for (flag, through) in [
        (TraceFilterFlag::INCLUDE_NODE, false),
        (TraceFilterFlag::EXCLUDE_NODE, true),
    ] {
        let request = TraceSetFilters {
            flag,
            node_index: local,
            count: 100,
            ..TraceSetFilters::default()
        };
        switch.api.request(&request).await.unwrap();
        let text = traced(&switch).await;
        assert_eq!(text.contains("-> 10.1.2.2"), through, "{text}");
        assert_eq!(text.contains("-> 10.1.1.1"), !through, "{text}");
    }
    let all = TraceSetFilters {
        flag: TraceFilterFlag::NONE,
        ..TraceSetFilters::default()
    };
    switch.api.request(&all).await.unwrap();
    assert_ne!(traced(&switch).await, "");
    let clear = TraceClearCapture::default();
    switch.api.request(&clear).await.unwrap();
    assert_eq!(traced(&switch).await, "");
}

/// Command lines, and a part of their answers.
const ANSWERS: &[(&str, &str)] = &[
    ("show version", "weft-vswitch v"),
    ("show int", "tap0 "),
    ("show interface tap1", "tap1 "),
    ("show hardware-interfaces", "Ethernet address"),
    ("show interface addr", "tap0 (up):\n  L3 10.1.1.1/24"),
    ("show interface address", "L2 bridge bd-id 7"),
    ("show ip fib", "10.1.1.0/24\n  unicast-ip4-chain"),
    ("show ip fib 10.1.1.1", "dpo-receive: tap0"),
    ("show ip6 fib table 0", "::/0\n  unicast-ip6-chain"),
    ("show ip neighbors", "10.1.1.2"),
    ("show bridge-domain", "off"),
    ("show bridge-domain 7 detail", "tap1"),
    ("show bridge-domain 8", "No such bridge domain 8"),
    ("show l2fib verbose", "L2FIB total/learned entries: "),
    ("show vxlan tunnel", "No vxlan tunnels configured..."),
    ("show runtime", "ip4-lookup"),
    ("show interface rx-placement", "Thread 1 (worker-0):"),
    ("show tap", "host"),
    ("show trace", "No packets in trace buffer"),
    ("show mode", "l3 tap0  \nl2 bridge tap1 bd_id 7 shg 0"),
    ("show ip table", "[0] table_id:0 ipv4-VRF:0"),
    ("show ip6 table", "[0] table_id:0 ipv6-VRF:0"),
    ("show threads", "worker-1"),
    ("show clock", "Time now "),
    ("show buffers", "default-numa-0"),
    (
        "show memif",
        "sockets\n  id  listener    filename\n  0   no",
    ),
    ("show acl-plugin acl", ""),
    ("show acl-plugin sessions", "flows"),
    (
        "show npol interfaces",
        "Interfaces with policies configured:",
    ),
    ("show npol ipsets", ""),
    ("show cnat translation", ""),
    ("show cnat session", "sessions"),
    ("show cnat snat-policy", ""),
    ("show sr localsids", "SRv6 - My LocalSID Table:"),
    ("show sr policies", "SR policies:"),
    ("show sr steering-policies", "SR steering policies:"),
    ("show sr encaps source addr", "SR encaps source addr ="),
    ("show abf policy", ""),
    ("show abf attach", ""),
    ("show api plugin", "interface_"),
    (
        "show nonsense here",
        "show: unknown input `nonsense here'\nhint: show version",
    ),
    ("nonsense", "unknown input `nonsense'"),
    ("clear nonsense", "clear: unknown input `nonsense'"),
    ("pcap trace", "usage: pcap trace"),
    ("pcap trace off", "already off"),
    ("trace add nowhere 5", "unknown node or interface `nowhere'"),
];

#[tokio::test]
async fn the_cli_answers_in_the_words_of_vpp() {
    if !is_permitted() {
        return;
    }
    let (switch, taps, a, _b) = pods().await;
    switch.bridge(7, &[taps[1]]).await;
    for (line, expected) in ANSWERS {
        let answer = switch.cli(line).await;
        assert!(answer.contains(expected), "{line}:\n{answer}");
        let is_known = !answer.contains("unknown input") && !answer.contains("usage:");
        let is_refused = expected.contains("unknown input") || expected.contains("usage:");
        assert!(is_known || is_refused, "{line}:\n{answer}");
    }
    a.try_run("ping -n -c 1 -W 1 10.99.99.99");
    for line in ["show errors", "show node counters"] {
        let answer = switch.cli(line).await;
        assert!(answer.contains("route says drop"), "{line}:\n{answer}");
    }
    for (clear, show, gone) in [
        ("clear errors", "show errors", "route says drop"),
        ("clear l2fib", "show l2fib all", "Mac-Address"),
        ("clear interfaces", "show int tap0", "rx bytes"),
        ("clear runtime", "show runtime", "ip4-lookup"),
    ] {
        assert_eq!(switch.cli(clear).await, "", "{clear}");
        let answer = switch.cli(show).await;
        assert!(!answer.contains(gone), "{clear}:\n{answer}");
    }
}

/// Packets of an object in a table of the statistics, once they are published.
async fn counted(switch: &Switch, table: &str, index: u32, at_least: u64) -> u64 {
    let socket = switch.dir.path().join("stats.sock");
    let patience = Duration::from_secs(10);
    let segment = StatsSegment::connect(&socket, patience).await.unwrap();
    let deadline = Instant::now() + patience;
    loop {
        let read = segment.read(|name| name == table).await.unwrap();
        let is_late = Instant::now() > deadline;
        match read.get(table) {
            None => assert!(!is_late, "{table} is not published"),
            Some(value) => {
                let packets = value.packets(index as usize).unwrap_or_default();
                if packets >= at_least || is_late {
                    return packets;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn statistics_tell_routes_and_neighbours_apart() {
    if !is_permitted() {
        return;
    }
    let (switch, taps, a, _b) = pods().await;
    let route = IpRouteAddDel {
        is_add: true,
        route: IpRoute {
            prefix: prefix("10.50.0.0/16"),
            paths: vec![FibPath {
                sw_if_index: taps[1].0,
                weight: 1,
                nh: FibPathNh {
                    address: "10.1.2.2".parse::<IpAddr>().unwrap().into(),
                    ..FibPathNh::default()
                },
                ..FibPath::default()
            }],
            ..IpRoute::default()
        },
        ..IpRouteAddDel::default()
    };
    let index = switch.api.request(&route).await.unwrap().stats_index;
    a.try_run("ping -n -c 3 -i 0.2 -W 1 10.50.0.7");
    assert_eq!(counted(&switch, "/net/route/to", index, 3).await, 3);
    assert_eq!(counted(&switch, "/net/route/via", index, 0).await, 0);
    let neighbor = IpNeighborAddDel {
        is_add: true,
        neighbor: IpNeighbor {
            sw_if_index: taps[1],
            flags: IpNeighborFlags::STATIC,
            mac_address: MacAddress([2, 0, 0, 0, 0, 9]),
            ip_address: "10.1.2.9".parse().unwrap(),
        },
    };
    let index = switch.api.request(&neighbor).await.unwrap().stats_index;
    a.try_run("ping -n -c 1 -W 1 10.1.2.9");
    assert_eq!(switch.cli("adjacency counters enable").await, "");
    a.try_run("ping -n -c 2 -i 0.2 -W 1 10.1.2.9");
    assert_eq!(counted(&switch, "/net/adjacency", index, 2).await, 2);
    for name in [
        "/net/npol/rx/flows/allow",
        "/net/npol/rx/flows/deny",
        "/net/npol/tx/flows/allow",
        "/net/npol/tx/flows/deny",
    ] {
        assert_eq!(counted(&switch, name, taps[0].0, 0).await, 0, "{name}");
    }
    let socket = switch.dir.path().join("stats.sock");
    let segment = StatsSegment::connect(&socket, Duration::from_secs(10)).await;
    let read = segment
        .unwrap()
        .read(|n| n.starts_with("/buffer-pools/"))
        .await;
    let text = format!("{:?}", read.unwrap());
    assert!(text.contains("/available\": Number(128)"), "{text}");
}

#[tokio::test]
async fn matches_of_access_lists_are_published_by_rule() {
    if !is_permitted() {
        return;
    }
    let (switch, taps, a, _b) = pods().await;
    let rule = |to: &str| AclRule {
        is_permit: AclAction::Permit,
        src_prefix: prefix("0.0.0.0/0"),
        dst_prefix: prefix(to),
        srcport_or_icmptype_last: u16::MAX,
        dstport_or_icmpcode_last: u16::MAX,
        ..AclRule::default()
    };
    let list = AclAddReplace {
        acl_index: u32::MAX,
        r: vec![rule("10.1.1.1/32"), rule("10.1.2.0/24")],
        ..AclAddReplace::default()
    };
    let index = switch.api.request(&list).await.unwrap().acl_index;
    let apply = AclInterfaceSetAclList {
        sw_if_index: taps[0],
        n_input: 1,
        acls: vec![index],
    };
    switch.api.request(&apply).await.unwrap();
    let table = format!("/acl/{index}/matches");
    a.run("ping -n -c 1 10.1.2.2");
    assert_eq!(counted(&switch, &table, 1, 0).await, 0, "not asked for");
    let count = AclStatsIntfCountersEnable { enable: true };
    switch.api.request(&count).await.unwrap();
    a.run("ping -n -c 3 -i 0.2 10.1.2.2");
    assert_eq!(counted(&switch, &table, 1, 3).await, 3);
    assert_eq!(counted(&switch, &table, 0, 0).await, 0);
}
