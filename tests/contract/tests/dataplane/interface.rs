//! Interfaces of all kinds.

use vpp_api::interface::{
    CreateLoopbackInstance, DeleteLoopback, SwInterfaceDump, SwInterfaceEvent, SwInterfaceSetFlags,
    SwInterfaceTagAddDel, WantInterfaceEvents,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::memif::{
    MemifCreateV2, MemifDelete, MemifDump, MemifRole, MemifSocketFilenameAddDelV2,
    MemifSocketFilenameDump,
};
use vpp_api::vxlan::{VxlanAddDelTunnelV3, VxlanTunnelV2Dump};
use vpp_api::{ApiError, FixedString};

use crate::target::{PATIENCE, TABLE, Target};

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
            (tunnels.len(), tunnels[0].vni, tunnels[0].decap_next_index),
            (1, 7701, 1)
        );
        assert_eq!((tunnels[0].src_port, tunnels[0].dst_port), (4789, 4789));
        let flags = target.interface(sw_if_index).await.flags;
        assert!(flags.contains(IfStatusFlags::ADMIN_UP), "born up");
        let far = VxlanAddDelTunnelV3 {
            dst_port: 8472,
            ..create.clone()
        };
        target.refuses(&far, &[ApiError::TunnelExist]).await;
        let near = VxlanAddDelTunnelV3 {
            src_port: 8472,
            ..create.clone()
        };
        target.ok(&near).await;
        let mixed = VxlanAddDelTunnelV3 {
            dst_address: "2001:db8::1".parse().unwrap(),
            ..create.clone()
        };
        target.refuses(&mixed, &[ApiError::InvalidValue]).await;
        let nowhere = VxlanAddDelTunnelV3 {
            encap_vrf_id: TABLE + 9,
            ..mixed
        };
        target.refuses(&nowhere, &[ApiError::NoSuchFib]).await;
        target
            .ok(&VxlanAddDelTunnelV3 {
                is_add: false,
                ..near
            })
            .await;
        let delete = VxlanAddDelTunnelV3 {
            is_add: false,
            ..create
        };
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
    }
}

/// Names a socket in the target's directory and returns its number.
async fn memif_socket(target: &Target) -> MemifSocketFilenameAddDelV2 {
    let file = target.dir.path().join("contract.sock");
    let add = MemifSocketFilenameAddDelV2 {
        is_add: true,
        socket_id: u32::MAX,
        socket_filename: file.to_string_lossy().into_owned(),
    };
    let socket_id = target.api.request(&add).await.unwrap().socket_id;
    MemifSocketFilenameAddDelV2 { socket_id, ..add }
}

#[tokio::test]
async fn a_memif_socket_is_kept_while_an_interface_uses_it() {
    for target in Target::all().await {
        let named = memif_socket(&target).await;
        target.ok(&named).await;
        let other = MemifSocketFilenameAddDelV2 {
            socket_filename: "/tmp/other.sock".into(),
            ..named.clone()
        };
        target
            .refuses(&other, &[ApiError::EntryAlreadyExists])
            .await;
        let socket_id = named.socket_id;
        let create = MemifCreateV2 {
            role: MemifRole::Master,
            id: 7,
            socket_id,
            ..Default::default()
        };
        let sw_if_index = target.api.request(&create).await.unwrap().sw_if_index;
        let sockets = target
            .api
            .dump(&MemifSocketFilenameDump::default())
            .await
            .unwrap();
        assert!(
            sockets.iter().any(|socket| socket.socket_id == socket_id),
            "{sockets:?}"
        );
        let delete = MemifSocketFilenameAddDelV2 {
            is_add: false,
            ..named
        };
        target
            .refuses(&delete, &[ApiError::UnexpectedInterfaceState])
            .await;
        target.ok(&MemifDelete { sw_if_index }).await;
        target.ok(&delete).await;
    }
}

#[tokio::test]
async fn memifs_of_a_socket_have_one_role_and_an_id_each() {
    for target in Target::all().await {
        let named = memif_socket(&target).await;
        let socket_id = named.socket_id;
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
        target.ok(&MemifDelete { sw_if_index }).await;
        target
            .refuses(&MemifDelete { sw_if_index }, &[ApiError::InvalidSwIfIndex])
            .await;
        target
            .ok(&MemifSocketFilenameAddDelV2 {
                is_add: false,
                ..named
            })
            .await;
    }
}
