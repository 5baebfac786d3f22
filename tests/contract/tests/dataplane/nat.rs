//! Source translation of packets, and errors about them.

use vpp_api::cnat::{
    CnatSetSnatAddresses, CnatSetSnatPolicy, CnatSnatPolicies, CnatSnatPolicyAddDelExcludePfx,
    CnatSnatPolicyAddDelIf, CnatSnatPolicyTable,
};
use vpp_api::interface_types::InterfaceIndex;

use crate::target::{Target, prefix};
use crate::traffic::{LEFT, LEFT6, RIGHT, RIGHT6, cnat, targets};
use crate::wire::{Wires, echo_request, udp_of, unreachable_of};

/// Of the right port, as sources get them.
const OUTSIDE: &str = "10.77.41.1";
const OUTSIDE6: &str = "fd77:41::1";

/// What comes from the left gets another source, except for one host.
async fn translate_sources(target: &Target, left: InterfaceIndex) {
    target
        .ok(&CnatSetSnatAddresses {
            snat_ip4: OUTSIDE.parse().unwrap(),
            snat_ip6: OUTSIDE6.parse().unwrap(),
            sw_if_index: InterfaceIndex::NONE,
        })
        .await;
    let policy = CnatSnatPolicies::K8s;
    target.ok(&CnatSetSnatPolicy { policy }).await;
    for table in [
        CnatSnatPolicyTable::IncludeV4,
        CnatSnatPolicyTable::IncludeV6,
        CnatSnatPolicyTable::Pod,
    ] {
        let request = CnatSnatPolicyAddDelIf {
            sw_if_index: left,
            is_add: 1,
            table,
        };
        target.ok(&request).await;
    }
}

/// The first port or the identifier of the only packet.
fn number(said: &[String]) -> u16 {
    let [only] = said else { panic!("{said:?}") };
    let last = only.rsplit(' ').next().unwrap();
    last.split('>').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn sources_are_translated_and_answers_find_back() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        cnat(&target, &wires).await;
        translate_sources(&target, wires.ports[0]).await;
        for (left, right, outside) in [(LEFT, RIGHT, OUTSIDE), (LEFT6, RIGHT6, OUTSIDE6)] {
            let out = wires.exchange(0, &udp_of((left, right), (4000, 53), 64));
            let port = number(&out);
            let expected = format!("1: {outside} > {right} ttl 63 udp {port}>53");
            assert_eq!(out, [expected], "{}", target.name);
            let back = wires.exchange(1, &udp_of((right, outside), (53, port), 64));
            let expected = format!("0: {right} > {left} ttl 63 udp 53>4000");
            assert_eq!(back, [expected], "{}", target.name);
            // What is wrong with the translated packet is told to its sender, about what it sent.
            let about = udp_of((outside, right), (port, 53), 63);
            let back = wires.exchange(1, &unreachable_of((right, outside), &about));
            let kind = if left.contains(':') { "1/4" } else { "3/3" };
            let expected =
                format!("0: {right} > {left} ttl 63 icmp {kind} about {left} > {right} 4000>53");
            assert_eq!(back, [expected], "{}", target.name);
            let out = wires.exchange(0, &echo_request((left, right), 77));
            let kind = if left.contains(':') { "128/0" } else { "8/0" };
            let expected = format!(
                "1: {outside} > {right} ttl 63 icmp {kind} id {}",
                number(&out)
            );
            assert_eq!(out, [expected], "{}", target.name);
        }
        let exclude = CnatSnatPolicyAddDelExcludePfx {
            is_add: 1,
            prefix: prefix("10.77.41.0/24"),
        };
        target.ok(&exclude).await;
        assert_eq!(
            wires.exchange(0, &udp_of((LEFT, RIGHT), (4001, 53), 64)),
            ["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 4001>53"],
            "{}",
            target.name
        );
    }
}
