use expect_test::{Expect, expect};

use super::*;
use crate::test_support::{facts, local_pod};
use crate::text::listing;

fn check(local: &LocalPod, expected: &Expect) {
    let text = listing(&pod(&facts(1), local));
    let hash = format!("{:016x}", fnv(&[&local.container_id]));
    expected.assert_eq(&text.replace(&hash, &local.container_id));
}

fn local(memifs: &[&str]) -> LocalPod {
    local_pod("web", 7, "10.1.1.2".parse().unwrap(), memifs)
}

#[test]
fn a_pod_is_a_tap_with_a_neighbour_and_a_host_route() {
    check(
        &local(&[]),
        &expect![[r#"
        interface weft/pod/web/eth0: tap /run/netns/web eth0 02:01:00:00:07:09 02:02:00:00:07:09 mtu 1450
        unnumbered weft/pod/web/eth0: of weft/gateway
        neighbour 10.1.1.2 on weft/pod/web/eth0: at 02:01:00:00:07:09
        route 10.1.1.2/32: via 10.1.1.2 weft/pod/web/eth0
    "#]],
    );
}

#[test]
fn stub_memifs_share_a_socket_and_have_no_addresses() {
    check(
        &local(&["left", "right"]),
        &expect![[r#"
        memif socket 7: /run/weft/pods/web/memif.sock
        interface weft/pod/web/eth0: tap /run/netns/web eth0 02:01:00:00:07:09 02:02:00:00:07:09 mtu 1450
        interface weft/pod/web/left: memif 7/0 master 02:02:00:00:07:00
        interface weft/pod/web/right: memif 7/1 master 02:02:00:00:07:01
        unnumbered weft/pod/web/eth0: of weft/gateway
        neighbour 10.1.1.2 on weft/pod/web/eth0: at 02:01:00:00:07:09
        route 10.1.1.2/32: via 10.1.1.2 weft/pod/web/eth0
    "#]],
    );
}

#[test]
fn an_interface_of_each_family_has_a_route_of_each() {
    let mut pod = local(&[]);
    let second = "fd00::2".parse().unwrap();
    pod.interfaces[0].addresses.push(second);
    check(
        &pod,
        &expect![[r#"
        interface weft/pod/web/eth0: tap /run/netns/web eth0 02:01:00:00:07:09 02:02:00:00:07:09 mtu 1450
        unnumbered weft/pod/web/eth0: of weft/gateway
        neighbour 10.1.1.2 on weft/pod/web/eth0: at 02:01:00:00:07:09
        neighbour fd00::2 on weft/pod/web/eth0: at 02:01:00:00:07:09
        route 10.1.1.2/32: via 10.1.1.2 weft/pod/web/eth0
        route fd00::2/128: via fd00::2 weft/pod/web/eth0
    "#]],
    );
}

#[test]
fn a_veth_is_a_host_device_with_a_name_that_linux_takes() {
    let mut pod = local(&[]);
    pod.interfaces[0].kind = InterfaceKind::Veth;
    check(
        &pod,
        &expect![[r#"
        interface weft/pod/web/eth0: host wvb66a15d1467c 02:02:00:00:07:09
        unnumbered weft/pod/web/eth0: of weft/gateway
        neighbour 10.1.1.2 on weft/pod/web/eth0: at 02:01:00:00:07:09
        route 10.1.1.2/32: via 10.1.1.2 weft/pod/web/eth0
    "#]],
    );
    for (container, interface) in [
        ("web", "eth0"),
        ("", ""),
        (&*"f".repeat(64), "a-long-name-123"),
    ] {
        assert!(veth_name(container, interface).len() <= model::annotation::NAME_LEN_MAX);
    }
}

#[test]
fn the_longest_names_fit_a_tag() {
    let tag = tag(
        &"f".repeat(64),
        &"x".repeat(model::annotation::NAME_LEN_MAX),
    );
    assert!(tag.as_str().len() <= crate::object::TAG_LEN_MAX, "{tag}");
}

#[test]
fn interfaces_of_one_pod_have_their_own_addresses() {
    let all: std::collections::BTreeSet<_> = ["eth0", "left"]
        .into_iter()
        .flat_map(|name| {
            let (mac, gateway) = macs("web", name);
            [mac, gateway]
        })
        .collect();
    assert_eq!(all.len(), 4);
    assert!(
        all.iter().all(|mac| mac.0[0] & 3 == 2),
        "unicast, locally administered"
    );
}
