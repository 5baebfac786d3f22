//! Access lists and ACL-based forwarding.

use packet::{MacAddr, proto};

use super::routing::two_subnets;
use super::*;
use crate::Family;
use crate::acl::{AclAction, AclRule, PortRange};
use crate::bridge::PortType;
use crate::route::RoutePath;

fn http_rule(action: AclAction) -> AclRule {
    let web = PortRange {
        first: 80,
        last: 80,
    };
    AclRule {
        proto: proto::TCP,
        dst_ports: web,
        dst: prefix("10.0.1.0/24"),
        ..AclRule::any(action, Family::V4)
    }
}

fn tcp(dst: &str, port: u16, flags: u8) -> Vec<u8> {
    let mut segment = [0; 20];
    packet::tcp::Header {
        src_port: 1000,
        dst_port: port,
        flags,
        ..packet::tcp::Header::default()
    }
    .emit(&mut segment);
    ip("10.0.0.9", dst, proto::TCP, 64, &segment)
}

#[test]
fn access_lists_decide_by_first_match_and_deny_the_rest() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.neighbor(b, "10.0.1.8", host(3));
    let not_eight = AclRule {
        dst: prefix("10.0.1.8/32"),
        ..AclRule::any(AclAction::Deny, Family::V4)
    };
    let acl = lab
        .dp
        .acl_add_replace(None, "web", vec![not_eight, http_rule(AclAction::Permit)])
        .unwrap();
    let passes = |lab: &mut Lab, dst: &str, port| {
        !lab.send(a, &eth(own_mac(a), host(1), &tcp(dst, port, 0)))
            .is_empty()
    };
    for input in [true, false] {
        let lists: (&[u32], &[u32]) = if input { (&[acl], &[]) } else { (&[], &[acl]) };
        lab.dp
            .acl_interface_set_acl_list(if input { a } else { b }, lists.0, lists.1)
            .unwrap();
        let got = [("10.0.1.9", 80), ("10.0.1.9", 81), ("10.0.1.8", 80)]
            .map(|(dst, port)| passes(&mut lab, dst, port));
        assert_eq!(got, [true, false, false]);
        lab.dp
            .acl_interface_set_acl_list(if input { a } else { b }, &[], &[])
            .unwrap();
    }
    assert!(passes(&mut lab, "10.0.1.8", 81));
    assert_eq!(
        lab.drops(),
        [
            "acl-plugin-in-fa: ACL deny packets = 2",
            "acl-plugin-out-fa: ACL deny packets = 2"
        ]
    );
    // Replacing a list in place changes what is applied already.
    lab.dp.acl_interface_set_acl_list(a, &[acl], &[]).unwrap();
    let syn_only = AclRule {
        tcp_mask: packet::tcp::SYN,
        tcp_value: packet::tcp::SYN,
        ..http_rule(AclAction::Permit)
    };
    lab.dp
        .acl_add_replace(Some(acl), "syn", vec![syn_only])
        .unwrap();
    assert!(!passes(&mut lab, "10.0.1.9", 80));
    assert!(
        !lab.send(
            a,
            &eth(own_mac(a), host(1), &tcp("10.0.1.9", 80, packet::tcp::SYN))
        )
        .is_empty()
    );
}

#[test]
fn abf_steers_matching_packets_into_a_chain_segment() {
    let (mut lab, pod, out) = two_subnets();
    let hop = lab.device("memif0/0");
    lab.neighbor(out, "10.0.1.9", host(2));
    let entry_mac = MacAddr([2, 0xcc, 0, 0, 0, 1]);
    let entry = lab.dp.create_loopback(entry_mac, None).unwrap();
    lab.dp.set_flags(entry, true).unwrap();
    lab.dp
        .add_del_address(entry, true, prefix("192.168.64.1/32"))
        .unwrap();
    lab.dp
        .set_l2_bridge(entry, 100, PortType::Bvi, 0, true)
        .unwrap();
    lab.dp
        .set_l2_bridge(hop, 100, PortType::Normal, 0, true)
        .unwrap();
    let exit_mac = MacAddr([2, 0xcc, 0, 0, 0, 2]);
    lab.neighbor(entry, "192.168.64.2", exit_mac);
    let acl = lab
        .dp
        .acl_add_replace(None, "chain", vec![http_rule(AclAction::Permit)])
        .unwrap();
    let path = RoutePath::via(addr("192.168.64.2"), entry);
    lab.dp.abf_policy_add_del(1, acl, &[path], true).unwrap();
    lab.dp
        .abf_itf_attach_add_del(1, pod, 10, Family::V4, true)
        .unwrap();
    let web = eth(own_mac(pod), host(1), &tcp("10.0.1.9", 80, 0));
    let other = eth(own_mac(pod), host(1), &tcp("10.0.1.9", 22, 0));
    assert_eq!(
        lab.text(pod, &web),
        "memif0/0: 02:cc:00:00:00:01 > 02:cc:00:00:00:02 10.0.0.9 > 10.0.1.9 ttl 63 protocol 6\n"
    );
    assert!(lab.text(pod, &other).starts_with("b: "));
    // A hop whose interface is gone is not bypassed: what the policy matches is dropped.
    lab.dp.delete_loopback(entry).unwrap();
    assert_eq!(lab.text(pod, &web), "");
    assert!(lab.text(pod, &other).starts_with("b: "));
    lab.dp
        .abf_itf_attach_add_del(1, pod, 10, Family::V4, false)
        .unwrap();
    assert!(lab.text(pod, &web).starts_with("b: "));
}
