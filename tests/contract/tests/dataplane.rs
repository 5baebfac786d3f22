//! The dataplane contract: VPP's binary API as its clients see it, on `weft-vswitch`; and, when
//! `WEFT_VPP_API_SOCKET` names one, on a real VPP (what needs no device of this machine).
//!
//! The binary is the one `cargo` built next to this test; `WEFT_VSWITCH` names another.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]
#![expect(clippy::print_stderr, reason = "a skipped contract must be loud")]

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vpp_api::abf::{
    AbfItfAttach, AbfItfAttachAddDel, AbfItfAttachDump, AbfPolicy, AbfPolicyAddDel, AbfPolicyDump,
};
use vpp_api::acl::{AclAddReplace, AclDel, AclDump, AclInterfaceListDump, AclInterfaceSetAclList};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::fib_types::{FibPath, FibPathNh};
use vpp_api::interface::{
    CreateLoopback, CreateLoopbackInstance, DeleteLoopback, SwInterfaceAddDelAddress,
    SwInterfaceDetails, SwInterfaceDump, SwInterfaceEvent, SwInterfaceSetFlags,
    SwInterfaceSetTable, SwInterfaceSetUnnumbered, SwInterfaceTagAddDel, WantInterfaceEvents,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{
    IpAddressDump, IpRoute, IpRouteAddDel, IpRouteDump, IpRouteLookup, IpTable, IpTableAddDel,
    IpTableDump, IpUnnumberedDump,
};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborDump, IpNeighborFlags};
use vpp_api::ip_types::{AddressWithPrefix, IpProto, Prefix};
use vpp_api::l2::{
    BridgeDomainAddDelV2, BridgeDomainDump, L2PortType, L2XconnectDump, SwInterfaceSetL2Bridge,
    SwInterfaceSetL2Xconnect,
};
use vpp_api::memclnt::ControlPing;
use vpp_api::memif::{
    MemifCreateV2, MemifDelete, MemifDump, MemifRole, MemifSocketFilenameAddDelV2,
    MemifSocketFilenameDump,
};
use vpp_api::vlib::{CliInband, ShowThreads};
use vpp_api::vpe::ShowVersion;
use vpp_api::vxlan::{VxlanAddDelTunnelV3, VxlanTunnelV2Dump};
use vpp_api::{ApiError, FixedString, Request};
use vpp_api_client::stats::StatsSegment;
use vpp_api_client::{Client, Options};

const PATIENCE: Duration = Duration::from_secs(20);

/// Real VPP's table ids and bridge domains that no one else uses.
const TABLE: u32 = 77_001;
const BRIDGE: u32 = 77_001;

#[tokio::test]
async fn a_client_learns_who_serves_it() {
    for target in Target::all().await {
        let version = target.api.request(&ShowVersion::default()).await.unwrap();
        assert!(!version.program.is_empty(), "{}", target.name);
        let threads = target.api.request(&ShowThreads::default()).await.unwrap();
        assert!(!threads.thread_data.is_empty(), "{}", target.name);
        let shown = target
            .api
            .request(&CliInband {
                cmd: "show version".into(),
            })
            .await
            .unwrap();
        assert!(!shown.reply.is_empty(), "{}", target.name);
    }
}

#[tokio::test]
async fn interfaces_are_dumped_by_index_and_by_part_of_their_name() {
    for target in Target::all().await {
        let first = target.loopback().await;
        let second = target.loopback().await;
        let tag = FixedString::new("contract").unwrap();
        target
            .ok(&SwInterfaceTagAddDel {
                is_add: true,
                sw_if_index: second,
                tag,
            })
            .await;
        let all = target.interfaces(SwInterfaceDump::default()).await;
        assert_eq!(all[0].interface_name, "local0", "{}", target.name);
        let zero = target
            .interfaces(SwInterfaceDump {
                sw_if_index: InterfaceIndex(0),
                ..Default::default()
            })
            .await;
        assert_eq!(zero.len(), all.len(), "index 0 asks for all");
        let one = target
            .interfaces(SwInterfaceDump {
                sw_if_index: second,
                ..Default::default()
            })
            .await;
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].tag, "contract");
        let name = one[0].interface_name.as_str().to_uppercase();
        let filter = SwInterfaceDump {
            name_filter_valid: true,
            name_filter: name,
            ..Default::default()
        };
        let found = target.interfaces(filter).await;
        assert!(
            found.iter().any(|found| found.sw_if_index == second),
            "the filter ignores case"
        );
        for loopback in [first, second] {
            target
                .ok(&DeleteLoopback {
                    sw_if_index: loopback,
                })
                .await;
        }
        target
            .refuses(
                &DeleteLoopback { sw_if_index: first },
                &[ApiError::InvalidSwIfIndex],
            )
            .await;
    }
}

#[tokio::test]
async fn a_loopback_instance_is_taken_once() {
    for target in Target::all().await {
        let request = CreateLoopbackInstance {
            is_specified: true,
            user_instance: 7701,
            ..Default::default()
        };
        let sw_if_index = target.api.request(&request).await.unwrap().sw_if_index;
        target
            .refuses(&request, &[ApiError::InvalidRegistration])
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn admin_state_is_dumped_and_reported_to_subscribers_only_once_subscribed() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let mut events = target.api.events::<SwInterfaceEvent>();
        let want = WantInterfaceEvents {
            enable_disable: 1,
            pid: 4711,
        };
        target.ok(&want).await;
        target
            .refuses(&want, &[ApiError::InvalidRegistration])
            .await;
        let flags = IfStatusFlags::ADMIN_UP;
        target.ok(&SwInterfaceSetFlags { sw_if_index, flags }).await;
        let event = loop {
            let event = tokio::time::timeout(PATIENCE, events.next())
                .await
                .unwrap()
                .unwrap();
            if event.sw_if_index == sw_if_index {
                break event;
            }
        };
        assert!(
            event.flags.contains(IfStatusFlags::ADMIN_UP) && !event.deleted,
            "{event:?}"
        );
        assert_eq!(event.pid, 4711);
        let dumped = target.interface(sw_if_index).await;
        assert!(dumped.flags.contains(IfStatusFlags::ADMIN_UP));
        target
            .ok(&WantInterfaceEvents {
                enable_disable: 0,
                pid: 4711,
            })
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn addresses_belong_to_a_table_and_hold_the_interface_there() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        target.ok(&table(true)).await;
        let bind = SwInterfaceSetTable {
            sw_if_index,
            is_ipv6: false,
            vrf_id: TABLE,
        };
        target.ok(&bind).await;
        target
            .ok(&SwInterfaceSetFlags {
                sw_if_index,
                flags: IfStatusFlags::ADMIN_UP,
            })
            .await;
        target.ok(&address(sw_if_index, "10.77.1.1/24", true)).await;
        let dump = IpAddressDump {
            sw_if_index,
            is_ipv6: false,
        };
        let addresses = target.api.dump(&dump).await.unwrap();
        assert_eq!(addresses.len(), 1);
        assert_eq!(
            addresses[0].prefix,
            AddressWithPrefix(prefix("10.77.1.1/24"))
        );
        let elsewhere = SwInterfaceSetTable {
            vrf_id: 0,
            ..bind.clone()
        };
        target
            .refuses(&elsewhere, &[ApiError::AddressFoundForInterface])
            .await;
        let lookup = IpRouteLookup {
            table_id: TABLE,
            exact: 0,
            prefix: prefix("10.77.1.9/32"),
        };
        let found = target.api.request(&lookup).await.unwrap().route;
        assert_eq!(found.prefix, prefix("10.77.1.0/24"), "the connected prefix");
        target
            .ok(&address(sw_if_index, "10.77.1.1/24", false))
            .await;
        target.ok(&elsewhere).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
        target.ok(&table(false)).await;
    }
}

#[tokio::test]
async fn an_unnumbered_interface_borrows_from_the_one_named_first() {
    for target in Target::all().await {
        let (lender, borrower) = (target.loopback().await, target.loopback().await);
        target.ok(&address(lender, "10.77.2.1/32", true)).await;
        let request = SwInterfaceSetUnnumbered {
            sw_if_index: lender,
            unnumbered_sw_if_index: borrower,
            is_add: true,
        };
        target.ok(&request).await;
        let pairs = target.api.dump(&IpUnnumberedDump::default()).await.unwrap();
        let pair = pairs
            .iter()
            .find(|pair| pair.sw_if_index == borrower)
            .unwrap();
        assert_eq!(pair.ip_sw_if_index, lender);
        target
            .ok(&SwInterfaceSetUnnumbered {
                is_add: false,
                ..request
            })
            .await;
        for sw_if_index in [borrower, lender] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

#[tokio::test]
async fn a_route_is_replaced_extended_and_deleted() {
    for target in Target::all().await {
        target.ok(&table(true)).await;
        assert!(
            target
                .api
                .dump(&IpTableDump::default())
                .await
                .unwrap()
                .iter()
                .any(|t| t.table.table_id == TABLE)
        );
        let sw_if_index = target.loopback().await;
        target
            .ok(&SwInterfaceSetTable {
                sw_if_index,
                is_ipv6: false,
                vrf_id: TABLE,
            })
            .await;
        target
            .ok(&SwInterfaceSetFlags {
                sw_if_index,
                flags: IfStatusFlags::ADMIN_UP,
            })
            .await;
        target.ok(&address(sw_if_index, "10.77.3.1/24", true)).await;
        let to = "10.99.0.0/16";
        let first = route(to, &["10.77.3.2"], sw_if_index);
        target.ok(&first).await;
        target.ok(&route(to, &["10.77.3.3"], sw_if_index)).await;
        assert_eq!(target.next_hops(to).await, ["10.77.3.3"], "add replaces");
        target
            .ok(&IpRouteAddDel {
                is_multipath: true,
                ..first.clone()
            })
            .await;
        assert_eq!(
            target.next_hops(to).await,
            ["10.77.3.2", "10.77.3.3"],
            "multipath adds"
        );
        target
            .ok(&IpRouteAddDel {
                is_add: false,
                is_multipath: true,
                ..first.clone()
            })
            .await;
        assert_eq!(target.next_hops(to).await, ["10.77.3.3"]);
        target
            .ok(&IpRouteAddDel {
                is_add: false,
                ..first.clone()
            })
            .await;
        let none: [&str; 0] = [];
        assert_eq!(target.next_hops(to).await, none);
        let mut pathless = first.clone();
        pathless.route.paths.clear();
        target.refuses(&pathless, &[ApiError::NoPathsInRoute]).await;
        let mut nowhere = first;
        nowhere.route.table_id = TABLE + 1;
        target.refuses(&nowhere, &[ApiError::NoSuchFib]).await;
        let lookup = IpRouteLookup {
            table_id: TABLE,
            exact: 1,
            prefix: prefix(to),
        };
        target.refuses(&lookup, &[ApiError::NoSuchEntry]).await;
        target
            .ok(&address(sw_if_index, "10.77.3.1/24", false))
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
        target.ok(&table(false)).await;
    }
}

#[tokio::test]
async fn a_static_neighbour_is_dumped_with_its_flag() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        target
            .ok(&SwInterfaceSetFlags {
                sw_if_index,
                flags: IfStatusFlags::ADMIN_UP,
            })
            .await;
        target.ok(&address(sw_if_index, "10.77.4.1/24", true)).await;
        let neighbor = IpNeighbor {
            sw_if_index,
            flags: IpNeighborFlags::STATIC,
            mac_address: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 4, 2]),
            ip_address: "10.77.4.2".parse().unwrap(),
        };
        target
            .ok(&IpNeighborAddDel {
                is_add: true,
                neighbor,
            })
            .await;
        let dump = IpNeighborDump {
            sw_if_index,
            ..Default::default()
        };
        let found = target.api.dump(&dump).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].neighbor, neighbor);
        target
            .ok(&IpNeighborAddDel {
                is_add: false,
                neighbor,
            })
            .await;
        assert!(target.api.dump(&dump).await.unwrap().is_empty());
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn a_bridge_domain_holds_members_and_one_bvi() {
    for target in Target::all().await {
        let (bvi, second) = (target.loopback().await, target.loopback().await);
        let create = BridgeDomainAddDelV2 {
            bd_id: BRIDGE,
            flood: true,
            learn: true,
            forward: true,
            ..Default::default()
        };
        target.ok(&create).await;
        target.refuses(&create, &[ApiError::BdAlreadyExists]).await;
        let join = SwInterfaceSetL2Bridge {
            rx_sw_if_index: bvi,
            bd_id: BRIDGE,
            port_type: L2PortType::Bvi,
            enable: true,
            ..Default::default()
        };
        target.ok(&join).await;
        let another = SwInterfaceSetL2Bridge {
            rx_sw_if_index: second,
            ..join.clone()
        };
        target.refuses(&another, &[ApiError::BdAlreadyHasBvi]).await;
        let delete = BridgeDomainAddDelV2 {
            is_add: false,
            ..create.clone()
        };
        target.refuses(&delete, &[ApiError::BdInUse]).await;
        let dump = BridgeDomainDump {
            bd_id: BRIDGE,
            ..Default::default()
        };
        let domains = target.api.dump(&dump).await.unwrap();
        assert_eq!((domains.len(), domains[0].bvi_sw_if_index), (1, bvi));
        assert_eq!(domains[0].sw_if_details.len(), 1);
        target
            .ok(&SwInterfaceSetL2Bridge {
                enable: false,
                ..join
            })
            .await;
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
        for sw_if_index in [bvi, second] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

#[tokio::test]
async fn a_cross_connect_has_one_direction() {
    for target in Target::all().await {
        let (rx, tx) = (target.loopback().await, target.loopback().await);
        let request = SwInterfaceSetL2Xconnect {
            rx_sw_if_index: rx,
            tx_sw_if_index: tx,
            enable: true,
        };
        target.ok(&request).await;
        let pairs = target.api.dump(&L2XconnectDump::default()).await.unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.rx_sw_if_index, pair.tx_sw_if_index))
            .collect();
        assert!(
            pairs.contains(&(rx, tx)) && !pairs.contains(&(tx, rx)),
            "{pairs:?}"
        );
        target
            .ok(&SwInterfaceSetL2Xconnect {
                enable: false,
                ..request
            })
            .await;
        for sw_if_index in [rx, tx] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

#[tokio::test]
async fn a_vxlan_tunnel_is_known_by_its_ends_and_vni() {
    for target in Target::all().await {
        let create = VxlanAddDelTunnelV3 {
            src_address: "192.0.2.1".parse().unwrap(),
            dst_address: "192.0.2.2".parse().unwrap(),
            vni: 7701,
            decap_next_index: u32::MAX,
            ..VxlanAddDelTunnelV3::default()
        };
        let sw_if_index = target.api.request(&create).await.unwrap().sw_if_index;
        target.refuses(&create, &[ApiError::TunnelExist]).await;
        let itself = VxlanAddDelTunnelV3 {
            dst_address: create.src_address,
            ..create.clone()
        };
        target.refuses(&itself, &[ApiError::SameSrcDst]).await;
        let dump = VxlanTunnelV2Dump { sw_if_index };
        let tunnels = target.api.dump(&dump).await.unwrap();
        assert_eq!(
            (tunnels.len(), tunnels[0].vni, tunnels[0].dst_port),
            (1, 7701, 4789)
        );
        assert!(
            !target
                .interface(sw_if_index)
                .await
                .flags
                .contains(IfStatusFlags::ADMIN_UP),
            "born down"
        );
        let delete = VxlanAddDelTunnelV3 {
            is_add: false,
            ..create
        };
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
    }
}

#[tokio::test]
async fn an_acl_in_use_cannot_be_deleted_and_steers_by_abf() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let rule = AclRule {
            is_permit: AclAction::Permit,
            src_prefix: prefix("10.77.5.0/24"),
            dst_prefix: prefix("0.0.0.0/0"),
            proto: IpProto::Tcp,
            srcport_or_icmptype_last: u16::MAX,
            dstport_or_icmpcode_first: 80,
            dstport_or_icmpcode_last: 80,
            ..AclRule::default()
        };
        let tag = FixedString::new("contract").unwrap();
        let request = AclAddReplace {
            acl_index: u32::MAX,
            tag,
            r: vec![rule],
        };
        let acl_index = target.api.request(&request).await.unwrap().acl_index;
        let dumped = target.api.dump(&AclDump { acl_index }).await.unwrap();
        assert_eq!((dumped.len(), &dumped[0].r), (1, &vec![rule]));
        let apply = AclInterfaceSetAclList {
            sw_if_index,
            n_input: 1,
            acls: vec![acl_index],
        };
        target.ok(&apply).await;
        let lists = target
            .api
            .dump(&AclInterfaceListDump { sw_if_index })
            .await
            .unwrap();
        assert_eq!((lists[0].n_input, &lists[0].acls), (1, &vec![acl_index]));
        target
            .refuses(&AclDel { acl_index }, &[ApiError::AclInUseInbound])
            .await;
        target
            .ok(&AclInterfaceSetAclList {
                n_input: 0,
                acls: Vec::new(),
                ..apply
            })
            .await;

        let policy = AbfPolicy {
            policy_id: 7701,
            acl_index,
            paths: vec![path("10.77.5.9", sw_if_index)],
        };
        target
            .ok(&AbfPolicyAddDel {
                is_add: true,
                policy: policy.clone(),
            })
            .await;
        assert!(
            target
                .api
                .dump(&AbfPolicyDump::default())
                .await
                .unwrap()
                .iter()
                .any(|p| p.policy.policy_id == 7701)
        );
        let attach = AbfItfAttach {
            policy_id: 7701,
            sw_if_index,
            priority: 5,
            is_ipv6: false,
        };
        target
            .ok(&AbfItfAttachAddDel {
                is_add: true,
                attach,
            })
            .await;
        let attached = target.api.dump(&AbfItfAttachDump::default()).await.unwrap();
        assert!(attached.iter().any(|a| a.attach == attach), "{attached:?}");
        target
            .ok(&AbfItfAttachAddDel {
                is_add: false,
                attach,
            })
            .await;
        target
            .ok(&AbfPolicyAddDel {
                is_add: false,
                policy,
            })
            .await;
        target.ok(&AclDel { acl_index }).await;
        target
            .refuses(&AclDel { acl_index }, &[ApiError::NoSuchEntry])
            .await;
        let host_bits = AclRule {
            src_prefix: prefix("10.77.5.1/24"),
            ..rule
        };
        let request = AclAddReplace {
            acl_index: u32::MAX,
            tag,
            r: vec![host_bits],
        };
        target
            .refuses(&request, &[ApiError::InvalidSrcAddress])
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn a_memif_socket_is_kept_while_an_interface_uses_it() {
    for target in Target::all().await {
        let file = target.dir.path().join("contract.sock");
        let add = MemifSocketFilenameAddDelV2 {
            is_add: true,
            socket_id: u32::MAX,
            socket_filename: file.to_string_lossy().into_owned(),
        };
        let socket_id = target.api.request(&add).await.unwrap().socket_id;
        let named = MemifSocketFilenameAddDelV2 {
            socket_id,
            ..add.clone()
        };
        target.ok(&named).await;
        let other = MemifSocketFilenameAddDelV2 {
            socket_filename: "/tmp/other.sock".into(),
            ..named.clone()
        };
        target
            .refuses(&other, &[ApiError::EntryAlreadyExists])
            .await;
        let create = MemifCreateV2 {
            role: MemifRole::Master,
            id: 7,
            socket_id,
            ..Default::default()
        };
        let sw_if_index = target.api.request(&create).await.unwrap().sw_if_index;
        target
            .refuses(&create, &[ApiError::SubifAlreadyExists])
            .await;
        let slave = MemifCreateV2 {
            role: MemifRole::Slave,
            id: 8,
            ..create.clone()
        };
        target
            .refuses(&slave, &[ApiError::SubifAlreadyExists])
            .await;
        let nowhere = MemifCreateV2 {
            socket_id: 9_999,
            ..create
        };
        target.refuses(&nowhere, &[ApiError::InvalidArgument]).await;
        let sockets = target
            .api
            .dump(&MemifSocketFilenameDump::default())
            .await
            .unwrap();
        assert!(
            sockets.iter().any(|socket| socket.socket_id == socket_id),
            "{sockets:?}"
        );
        let memifs = target.api.dump(&MemifDump::default()).await.unwrap();
        let memif = memifs
            .iter()
            .find(|memif| memif.sw_if_index == sw_if_index)
            .unwrap();
        assert_eq!(
            (memif.id, memif.socket_id, memif.role),
            (7, socket_id, MemifRole::Master)
        );
        assert!(!memif.flags.contains(IfStatusFlags::LINK_UP), "no peer yet");
        assert_eq!(memif.if_name.as_str(), format!("memif{socket_id}/7"));
        let delete = MemifSocketFilenameAddDelV2 {
            is_add: false,
            ..named
        };
        target
            .refuses(&delete, &[ApiError::UnexpectedInterfaceState])
            .await;
        target.ok(&MemifDelete { sw_if_index }).await;
        target
            .refuses(&MemifDelete { sw_if_index }, &[ApiError::InvalidSwIfIndex])
            .await;
        target.ok(&delete).await;
    }
}

#[tokio::test]
async fn the_statistics_segment_names_every_interface() {
    let target = Target::vswitch().await;
    let sw_if_index = target.loopback().await;
    let name = target.interface(sw_if_index).await.interface_name;
    let segment = StatsSegment::connect(&target.dir.path().join("stats.sock"), PATIENCE)
        .await
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let read = segment
            .read(|entry| entry == "/if/names" || entry == "/if/rx")
            .await
            .unwrap();
        let shown = format!("{read:?}");
        if shown.contains(name.as_str()) && shown.contains("/if/rx") {
            break;
        }
        assert!(Instant::now() < deadline, "{name:?} in {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn garbage_and_oversized_frames_cost_only_the_client_that_sent_them() {
    let target = Target::vswitch().await;
    let frame = |len: u32, body: &[u8]| {
        let mut bytes = vec![0; 8];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    };
    let oversized = frame(u32::MAX, &[0; 64]);
    let endless_name = frame(3, &[0xff, 0xff, 0xff]);
    let noise: Vec<u8> = (0..4096_u32)
        .map(|at| u8::try_from(at * 37 % 251).unwrap())
        .collect();
    for bytes in [oversized, endless_name, noise] {
        let mut stream = UnixStream::connect(&target.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // The server may hang up before it has read everything.
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 64]);
        target.ok(&ControlPing::default()).await;
    }
    target
        .ok(&SwInterfaceSetFlags {
            sw_if_index: InterfaceIndex(0),
            ..Default::default()
        })
        .await;
}

#[tokio::test]
async fn a_second_process_on_the_same_socket_refuses_to_start() {
    let target = Target::vswitch().await;
    let output = Command::new(binary())
        .arg("--api-socket")
        .arg(&target.socket)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("another process"),
        "{output:?}"
    );
    assert!(output.stdout.is_empty());
    target.ok(&ControlPing::default()).await;
}

#[tokio::test]
async fn a_terminated_process_ends_cleanly_and_leaves_no_socket() {
    let mut target = Target::vswitch().await;
    let child = target.child.as_mut().unwrap();
    let kill = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert!(child.wait().unwrap().success());
    assert!(!target.socket.exists());
}

#[tokio::test]
async fn the_python_client_of_vpp_drives_it() {
    let python = std::env::var("WEFT_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import vpp_papi"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: `{python}` cannot import vpp_papi (pip install vpp_papi==2.4.2)");
        return;
    }
    let target = Target::vswitch().await;
    let folder = tempfile::tempdir().unwrap();
    for module in vpp_api::MODULES {
        let path = folder.path().join(format!("{}.api.json", module.name));
        std::fs::write(path, vpp_api::export::module(module)).unwrap();
    }
    let mut command = Command::new(python);
    command
        .args(["-c", PAPI])
        .arg(&target.socket)
        .arg(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success() && output.stdout.ends_with(b"ok\n"),
        "{output:?}"
    );
}

const PAPI: &str = r#"
import glob, sys
from vpp_papi import VPPApiClient
socket, folder = sys.argv[1:]
vpp = VPPApiClient(apifiles=glob.glob(folder + "/*.api.json"), server_address=socket)
vpp.connect("contract")
assert vpp.api.show_version().program == "weft-vswitch"
made = vpp.api.memif_create_v2(role=0, mode=0, id=3, socket_id=0, ring_size=1024, buffer_size=2048)
assert made.retval == 0, made
index = made.sw_if_index
dump = [m for m in vpp.api.memif_dump() if m.sw_if_index == index]
assert len(dump) == 1 and dump[0].if_name == "memif0/3" and dump[0].id == 3, dump
vpp.api.sw_interface_set_flags(sw_if_index=index, flags=1)
vpp.api.sw_interface_add_del_address(sw_if_index=index, is_add=True, prefix="10.88.0.1/24")
addresses = vpp.api.ip_address_dump(sw_if_index=index, is_ipv6=False)
assert [str(a.prefix) for a in addresses] == ["10.88.0.1/24"], addresses
path = {"sw_if_index": index, "weight": 1, "proto": 0, "nh": {"address": {"ip4": "10.88.0.2"}},
        "label_stack": [{}] * 16}
route = {"table_id": 0, "prefix": "10.89.0.0/16", "n_paths": 1, "paths": [path]}
vpp.api.ip_route_add_del(is_add=True, is_multipath=False, route=route)
routes = {str(r.route.prefix): r.route for r in vpp.api.ip_route_dump(table={"table_id": 0, "is_ip6": False})}
assert routes["10.89.0.0/16"].paths[0].sw_if_index == index, routes
vpp.api.ip_route_add_del(is_add=False, is_multipath=False, route=route)
vpp.api.memif_delete(sw_if_index=index)
assert index not in [i.sw_if_index for i in vpp.api.sw_interface_dump()]
vpp.disconnect()
print("ok")
"#;

/// Says once that only our dataplane is tested.
static NO_VPP: Once = Once::new();

/// A dataplane under test.
struct Target {
    name: &'static str,
    child: Option<Child>,
    dir: TempDir,
    socket: PathBuf,
    api: Client,
}

impl Target {
    /// Our dataplane, and real VPP when there is one.
    async fn all() -> Vec<Self> {
        let mut all = vec![Self::vswitch().await];
        match std::env::var_os("WEFT_VPP_API_SOCKET") {
            Some(socket) => {
                let (socket, dir) = (PathBuf::from(socket), tempfile::tempdir().unwrap());
                all.push(Self {
                    name: "vpp",
                    child: None,
                    dir,
                    api: connect(&socket).await,
                    socket,
                });
            }
            None => {
                NO_VPP.call_once(|| eprintln!("SKIPPED: real VPP (WEFT_VPP_API_SOCKET is not set)"))
            }
        }
        all
    }

    async fn vswitch() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let mut command = Command::new(binary());
        command
            .arg("--api-socket")
            .arg(&socket)
            .arg("--stats-socket")
            .arg(dir.path().join("stats.sock"));
        let child = Some(
            command
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let api = connect(&socket).await;
        Self {
            name: "weft-vswitch",
            child,
            dir,
            socket,
            api,
        }
    }

    async fn ok<M: Request>(&self, request: &M) {
        if let Err(error) = self.api.request(request).await {
            panic!("{} on {}: {error}", M::NAME, self.name);
        }
    }

    async fn refuses<M: Request>(&self, request: &M, with: &[ApiError]) {
        let error = self
            .api
            .request(request)
            .await
            .err()
            .and_then(|error| error.api_error());
        assert!(
            error.is_some_and(|error| with.contains(&error)),
            "{} on {}: {error:?}, not {with:?}",
            M::NAME,
            self.name
        );
    }

    async fn loopback(&self) -> InterfaceIndex {
        self.api
            .request(&CreateLoopback::default())
            .await
            .unwrap()
            .sw_if_index
    }

    async fn interfaces(&self, dump: SwInterfaceDump) -> Vec<SwInterfaceDetails> {
        self.api.dump(&dump).await.unwrap()
    }

    async fn interface(&self, sw_if_index: InterfaceIndex) -> SwInterfaceDetails {
        self.interfaces(SwInterfaceDump {
            sw_if_index,
            ..Default::default()
        })
        .await
        .remove(0)
    }

    /// Next hops of a route in the test's table, sorted.
    async fn next_hops(&self, to: &str) -> Vec<String> {
        let table = IpTable {
            table_id: TABLE,
            ..IpTable::default()
        };
        let routes = self.api.dump(&IpRouteDump { table }).await.unwrap();
        let route = routes
            .into_iter()
            .find(|details| details.route.prefix == prefix(to));
        let paths = route.map(|details| details.route.paths).unwrap_or_default();
        let mut hops: Vec<String> = paths
            .iter()
            .map(|path| path.nh.address.ip4().unwrap().to_string())
            .collect();
        hops.sort();
        hops
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

async fn connect(socket: &Path) -> Client {
    Client::connect(
        socket,
        Options {
            name: "contract".into(),
            ..Options::default()
        },
    )
    .await
    .unwrap()
}

/// Finds the program next to this test, where `cargo` puts it; has `cargo` build it when it is not there.
fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("WEFT_VSWITCH") {
        return binary.into();
    }
    let test = std::env::current_exe().unwrap();
    let binary = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("weft-vswitch");
    if !binary.exists() {
        let build = ["build", "-p", "vswitch-io", "--bin", "weft-vswitch"];
        assert!(
            Command::new(env!("CARGO"))
                .args(build)
                .status()
                .unwrap()
                .success()
        );
    }
    binary
}

fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), len.parse().unwrap())
}

fn table(is_add: bool) -> IpTableAddDel {
    let name = FixedString::new("contract").unwrap();
    IpTableAddDel {
        is_add,
        table: IpTable {
            table_id: TABLE,
            is_ip6: false,
            name,
        },
    }
}

fn address(sw_if_index: InterfaceIndex, text: &str, is_add: bool) -> SwInterfaceAddDelAddress {
    let prefix = AddressWithPrefix(prefix(text));
    SwInterfaceAddDelAddress {
        sw_if_index,
        is_add,
        del_all: false,
        prefix,
    }
}

fn path(next_hop: &str, sw_if_index: InterfaceIndex) -> FibPath {
    let next_hop: IpAddr = next_hop.parse().unwrap();
    FibPath {
        sw_if_index: sw_if_index.0,
        weight: 1,
        nh: FibPathNh {
            address: next_hop.into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    }
}

fn route(to: &str, next_hops: &[&str], sw_if_index: InterfaceIndex) -> IpRouteAddDel {
    let paths = next_hops
        .iter()
        .map(|next_hop| path(next_hop, sw_if_index))
        .collect();
    let route = IpRoute {
        table_id: TABLE,
        prefix: prefix(to),
        paths,
        ..IpRoute::default()
    };
    IpRouteAddDel {
        is_add: true,
        is_multipath: false,
        route,
    }
}
