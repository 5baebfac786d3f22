//! Classifier tables and access lists on source addresses.

use packet::MacAddr;
use vpp_api::acl::{
    MacipAclAdd, MacipAclAddReplace, MacipAclDel, MacipAclDump, MacipAclInterfaceAddDel,
    MacipAclInterfaceGet, MacipAclInterfaceListDump,
};
use vpp_api::acl_types::{AclAction, MacipAclRule};
use vpp_api::classify::{
    ClassifyAction, ClassifyAddDelSession, ClassifyAddDelTable, ClassifySessionDump,
    ClassifyTableByInterface, ClassifyTableIds, ClassifyTableInfo, InputAclSetInterface,
};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRoute, IpRouteAddDel, IpTable, IpTableAddDel};
use vpp_api::{ApiError, FixedString};

use crate::target::{TABLE, Target, path, prefix};
use crate::traffic::{LEFT, NOTHING, RIGHT, targets};
use crate::wire::{Wires, host_mac, udp_of};

const NONE: u32 = u32::MAX;

/// A table that compares the source address of IPv4 packets behind an Ethernet header.
fn by_source(miss_next_index: u32, next_table_index: u32) -> ClassifyAddDelTable {
    let mut mask = vec![0; 16];
    mask[10..14].fill(0xff);
    ClassifyAddDelTable {
        is_add: true,
        nbuckets: 3,
        skip_n_vectors: 1,
        match_n_vectors: 1,
        miss_next_index,
        next_table_index,
        mask,
        ..ClassifyAddDelTable::default()
    }
}

async fn table(target: &Target, request: &ClassifyAddDelTable) -> u32 {
    target.api.request(request).await.unwrap().new_table_index
}

fn session(table_index: u32, source: [u8; 4], hit_next_index: u32) -> ClassifyAddDelSession {
    let mut matched = vec![0; 32];
    matched[26..30].copy_from_slice(&source);
    ClassifyAddDelSession {
        is_add: true,
        table_index,
        hit_next_index,
        opaque_index: 42,
        r#match: matched,
        ..ClassifyAddDelSession::default()
    }
}

fn on_ip4(sw_if_index: InterfaceIndex, ip4_table_index: u32, is_add: bool) -> InputAclSetInterface {
    InputAclSetInterface {
        sw_if_index,
        ip4_table_index,
        ip6_table_index: NONE,
        l2_table_index: NONE,
        is_add,
    }
}

async fn refuses_bad_tables(target: &Target) {
    for (change, error) in [
        (
            ClassifyAddDelTable {
                nbuckets: 0,
                ..by_source(0, NONE)
            },
            ApiError::InvalidValue,
        ),
        (
            ClassifyAddDelTable {
                memory_size: 0,
                ..by_source(0, NONE)
            },
            ApiError::InvalidMemorySize,
        ),
        (
            ClassifyAddDelTable {
                match_n_vectors: 2,
                ..by_source(0, NONE)
            },
            ApiError::InvalidValue,
        ),
    ] {
        target.refuses(&change, &[error]).await;
    }
}

#[tokio::test]
async fn tables_and_sessions_are_kept_and_listed() {
    for target in Target::all().await {
        let last = table(&target, &by_source(0, NONE)).await;
        let first = table(&target, &by_source(NONE, last)).await;
        let ids = target.api.request(&ClassifyTableIds {}).await.unwrap().ids;
        assert!(ids.contains(&first) && ids.contains(&last), "{ids:?}");
        let one = session(first, [10, 77, 1, 1], NONE);
        target.ok(&one).await;
        let ask = ClassifyTableInfo { table_id: first };
        let info = target.api.request(&ask).await.unwrap();
        let said = (
            info.nbuckets,
            info.skip_n_vectors,
            info.match_n_vectors,
            info.active_sessions,
            info.next_table_index,
            info.miss_next_index,
        );
        assert_eq!(said, (4, 1, 1, 1, last, NONE), "{}", target.name);
        assert_eq!(info.mask, by_source(0, 0).mask);
        let dump = ClassifySessionDump { table_id: first };
        let sessions = target.api.dump(&dump).await.unwrap();
        let details = &sessions[0];
        let said = (sessions.len(), details.hit_next_index, details.opaque_index);
        assert_eq!(said, (1, 0xffff, 42), "{}", target.name);
        assert_eq!(details.r#match, one.r#match[16..]);
        let wrong_length = ClassifyAddDelSession {
            r#match: vec![0; 16],
            ..one.clone()
        };
        target
            .refuses(&wrong_length, &[ApiError::InvalidValue])
            .await;
        let gone = ClassifyAddDelSession {
            is_add: false,
            ..one
        };
        target.ok(&gone).await;
        target.refuses(&gone, &[ApiError::NoSuchEntry]).await;
        refuses_bad_tables(&target).await;
        let delete = ClassifyAddDelTable {
            is_add: false,
            del_chain: true,
            table_index: first,
            ..by_source(0, NONE)
        };
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchTable]).await;
        target
            .refuses(&ask, &[ApiError::ClassifyTableNotFound])
            .await;
        let ids = target.api.request(&ClassifyTableIds {}).await.unwrap().ids;
        assert!(!ids.contains(&last), "{ids:?}");
    }
}

#[tokio::test]
async fn a_chain_of_tables_decides_about_routed_packets() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let on = wires.ports[0];
        let mut check = |from: &str, expected: &[&str]| {
            let packet = udp_of((from, RIGHT), (5, 6), 64);
            assert_eq!(wires.exchange(0, &packet), expected, "{}", target.name);
        };
        let last = table(&target, &by_source(0, NONE)).await;
        let first = table(&target, &by_source(NONE, last)).await;
        target.ok(&session(first, [10, 77, 40, 3], 0)).await;
        target.ok(&session(last, [10, 77, 40, 2], NONE)).await;
        let apply = on_ip4(on, first, true);
        target.ok(&apply).await;
        let ask = ClassifyTableByInterface { sw_if_index: on };
        let tables = target.api.request(&ask).await.unwrap();
        let said = (tables.ip4_table_id, tables.ip6_table_id, tables.l2_table_id);
        assert_eq!(said, (first, NONE, NONE), "{}", target.name);
        check(LEFT, &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 5>6"]);
        check("10.77.40.3", &NOTHING);
        check("10.77.40.4", &NOTHING);
        let wrong = on_ip4(on, last, false);
        target.refuses(&wrong, &[ApiError::NoSuchTable]).await;
        // A session that routes by another table.
        let table = |is_add| IpTableAddDel {
            is_add,
            table: IpTable {
                table_id: TABLE,
                ..IpTable::default()
            },
        };
        target.ok(&table(true)).await;
        let back = IpRouteAddDel {
            is_add: true,
            route: IpRoute {
                table_id: TABLE,
                prefix: prefix("0.0.0.0/0"),
                paths: vec![path(LEFT, on)],
                ..IpRoute::default()
            },
            ..IpRouteAddDel::default()
        };
        target.ok(&back).await;
        target
            .ok(&ClassifyAddDelSession {
                action: ClassifyAction::SetIp4FibIndex,
                metadata: TABLE,
                ..session(last, [10, 77, 40, 4], NONE)
            })
            .await;
        check("10.77.40.4", &["0: 10.77.40.4 > 10.77.41.2 ttl 63 udp 5>6"]);
        target.ok(&on_ip4(on, first, false)).await;
        check("10.77.40.3", &["1: 10.77.40.3 > 10.77.41.2 ttl 63 udp 5>6"]);
    }
}

fn rule(is_permit: AclAction, mac: MacAddr, src: &str) -> MacipAclRule {
    MacipAclRule {
        is_permit,
        src_mac: MacAddress(mac.0),
        src_mac_mask: MacAddress([0xff; 6]),
        src_prefix: prefix(src),
    }
}

#[tokio::test]
async fn lists_on_source_addresses_are_kept_and_listed() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let tag = FixedString::new("contract").unwrap();
        let r = vec![rule(AclAction::Permit, host_mac(0), "10.77.0.0/16")];
        let add = MacipAclAdd { tag, r };
        let acl_index = target.api.request(&add).await.unwrap().acl_index;
        let dumped = target.api.dump(&MacipAclDump { acl_index }).await.unwrap();
        assert_eq!((dumped.len(), &dumped[0].r), (1, &add.r), "{}", target.name);
        let apply = |is_add| MacipAclInterfaceAddDel {
            is_add,
            sw_if_index,
            acl_index,
        };
        target.ok(&apply(true)).await;
        let of = MacipAclInterfaceListDump { sw_if_index };
        let lists = target.api.dump(&of).await.unwrap();
        assert_eq!((lists.len(), &lists[0].acls), (1, &vec![acl_index]));
        let all = target.api.request(&MacipAclInterfaceGet {}).await.unwrap();
        let at = usize::try_from(sw_if_index.0).unwrap();
        assert_eq!(all.acls[at], acl_index, "{}", target.name);
        target.ok(&apply(false)).await;
        target
            .refuses(&apply(false), &[ApiError::NoSuchEntry])
            .await;
        let replace = MacipAclAddReplace {
            acl_index,
            tag,
            r: vec![rule(AclAction::Deny, host_mac(1), "fd77::/16")],
        };
        target.ok(&replace).await;
        let dumped = target.api.dump(&MacipAclDump { acl_index }).await.unwrap();
        assert_eq!(dumped[0].r, replace.r, "{}", target.name);
        // Deleting takes it off its interfaces.
        target.ok(&apply(true)).await;
        target.ok(&MacipAclDel { acl_index }).await;
        let gone = [ApiError::NoSuchEntry];
        target.refuses(&MacipAclDel { acl_index }, &gone).await;
        target.refuses(&apply(true), &gone).await;
        target.refuses(&replace, &gone).await;
    }
}

#[tokio::test]
async fn lists_on_source_addresses_guard_an_interface() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let sw_if_index = wires.ports[0];
        let other = MacAddr([2, 0x77, 0, 0, 9, 9]);
        let add = MacipAclAdd {
            tag: FixedString::new("pods").unwrap(),
            r: vec![
                rule(AclAction::Permit, host_mac(0), "10.77.40.2/31"),
                rule(AclAction::Permit, host_mac(0), "10.77.40.64/26"),
                rule(AclAction::Deny, host_mac(0), "10.77.40.3/32"),
                rule(AclAction::Permit, other, "10.77.40.3/32"),
            ],
        };
        let acl_index = target.api.request(&add).await.unwrap().acl_index;
        let apply = MacipAclInterfaceAddDel {
            is_add: true,
            sw_if_index,
            acl_index,
        };
        target.ok(&apply).await;
        let mut check = |mac: MacAddr, from: &str, passes: bool| {
            let packet = udp_of((from, RIGHT), (5, 6), 64);
            let said = wires.exchange_from(0, mac, &packet);
            let name = target.name;
            assert_eq!(said.len(), usize::from(passes), "{name}: {from} {said:?}");
        };
        check(host_mac(0), LEFT, true);
        check(host_mac(0), "10.77.40.70", true);
        check(host_mac(0), "10.77.40.4", false);
        // The longer prefix decides, though it stands behind the other.
        check(host_mac(0), "10.77.40.3", false);
        check(other, "10.77.40.3", true);
        check(other, LEFT, false);
        target
            .ok(&MacipAclInterfaceAddDel {
                is_add: false,
                ..apply
            })
            .await;
        check(other, LEFT, true);
    }
}
