//! Tunnels, source checks, reassembly and ARP termination: what is kept, dumped and refused.

use vpp_api::ApiError;
use vpp_api::interface::DeleteLoopback;
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{
    IpLocalReassEnableDisable, IpLocalReassGet, IpReassemblyEnableDisable, IpReassemblyGet,
    IpReassemblySet,
};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborConfig};
use vpp_api::ip_types::AddressFamily;
use vpp_api::ipip::{IpipAddTunnel, IpipDelTunnel, IpipTunnel, IpipTunnelDump};
use vpp_api::l2::{BdIpMac, BdIpMacAddDel, BdIpMacDump, BdIpMacFlush, BridgeDomainAddDelV2};
use vpp_api::tunnel_types::TunnelEncapDecapFlags;
use vpp_api::urpf::{UrpfInterfaceDump, UrpfMode, UrpfUpdate, UrpfUpdateV2};

use crate::target::{BRIDGE, TABLE, Target};

#[tokio::test]
async fn an_ipip_tunnel_is_known_by_its_ends_and_table() {
    for target in Target::all().await {
        let tunnel = IpipTunnel {
            instance: 7701,
            src: "192.0.2.1".parse().unwrap(),
            dst: "192.0.2.2".parse().unwrap(),
            flags: TunnelEncapDecapFlags::ENCAP_COPY_DF | TunnelEncapDecapFlags::ENCAP_COPY_DSCP,
            ..IpipTunnel::default()
        };
        let create = IpipAddTunnel { tunnel };
        let sw_if_index = target.api.request(&create).await.unwrap().sw_if_index;
        target.refuses(&create, &[ApiError::IfAlreadyExists]).await;
        let with = |tunnel| IpipAddTunnel { tunnel };
        let itself = with(IpipTunnel {
            dst: tunnel.src,
            ..tunnel
        });
        target.refuses(&itself, &[ApiError::SameSrcDst]).await;
        let mixed = with(IpipTunnel {
            dst: "2001:db8::1".parse().unwrap(),
            ..tunnel
        });
        target.refuses(&mixed, &[ApiError::InvalidProtocol]).await;
        let nowhere = with(IpipTunnel {
            table_id: TABLE + 9,
            ..tunnel
        });
        target.refuses(&nowhere, &[ApiError::NoSuchFib]).await;
        let taken = with(IpipTunnel {
            src: "192.0.2.3".parse().unwrap(),
            ..tunnel
        });
        target.refuses(&taken, &[ApiError::InstanceInUse]).await;
        let dump = IpipTunnelDump { sw_if_index };
        let found = target.api.dump(&dump).await.unwrap();
        let expected = IpipTunnel {
            sw_if_index,
            ..tunnel
        };
        assert_eq!(found.len(), 1, "{}", target.name);
        assert_eq!(found[0].tunnel, expected, "{}", target.name);
        let interface = target.interface(sw_if_index).await;
        assert_eq!(interface.interface_name.as_str(), "ipip7701");
        assert!(
            !interface.flags.contains(IfStatusFlags::ADMIN_UP),
            "born down"
        );
        assert_eq!(interface.mtu[0], 9000);
        let delete = IpipDelTunnel { sw_if_index };
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
    }
}

#[tokio::test]
async fn source_checks_are_dumped_until_they_are_off() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let dump = UrpfInterfaceDump { sw_if_index };
        assert!(target.api.dump(&dump).await.unwrap().is_empty());
        let strict = UrpfUpdateV2 {
            is_input: true,
            mode: UrpfMode::Strict,
            af: AddressFamily::Ip4,
            sw_if_index,
            table_id: u32::MAX,
        };
        target.ok(&strict).await;
        let loose = UrpfUpdate {
            is_input: false,
            mode: UrpfMode::Loose,
            af: AddressFamily::Ip6,
            sw_if_index,
        };
        target.ok(&loose).await;
        let mut found: Vec<_> = target
            .api
            .dump(&dump)
            .await
            .unwrap()
            .iter()
            .map(|d| (d.is_input, d.mode, d.af, d.table_id))
            .collect();
        found.sort_by_key(|(is_input, ..)| !is_input);
        assert_eq!(
            found,
            [
                (true, UrpfMode::Strict, AddressFamily::Ip4, 0),
                (false, UrpfMode::Loose, AddressFamily::Ip6, 0)
            ]
        );
        let nowhere = UrpfUpdateV2 {
            table_id: TABLE + 9,
            ..strict.clone()
        };
        target.refuses(&nowhere, &[ApiError::InvalidValue]).await;
        let unknown = UrpfUpdateV2 {
            sw_if_index: InterfaceIndex(0xffff_fff0),
            ..strict.clone()
        };
        target
            .refuses(&unknown, &[ApiError::InvalidSwIfIndex])
            .await;
        target
            .ok(&UrpfUpdateV2 {
                mode: UrpfMode::Off,
                ..strict
            })
            .await;
        target
            .ok(&UrpfUpdate {
                mode: UrpfMode::Off,
                ..loose
            })
            .await;
        // VPP keeps an entry that names a table, as the first version of the message always does.
        let left = target.api.dump(&dump).await.unwrap();
        assert_eq!(left.len(), usize::from(target.is_vpp()), "{left:?}");
        assert!(left.iter().all(|details| details.mode == UrpfMode::Off));
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn limits_of_reassembly_are_kept_per_family() {
    for target in Target::all().await {
        let get = |is_ip6| IpReassemblyGet {
            is_ip6,
            ..IpReassemblyGet::default()
        };
        let before = target.api.request(&get(false)).await.unwrap();
        let other = target.api.request(&get(true)).await.unwrap();
        let mut set = IpReassemblySet {
            timeout_ms: 321,
            max_reassemblies: 55,
            max_reassembly_length: 7,
            expire_walk_interval_ms: 44,
            ..IpReassemblySet::default()
        };
        target.ok(&set).await;
        let after = target.api.request(&get(false)).await.unwrap();
        assert_eq!(
            (
                after.timeout_ms,
                after.max_reassemblies,
                after.max_reassembly_length,
                after.expire_walk_interval_ms
            ),
            (321, 55, 7, 44)
        );
        let same = target.api.request(&get(true)).await.unwrap();
        assert_eq!(same.timeout_ms, other.timeout_ms);
        (set.timeout_ms, set.max_reassemblies) = (before.timeout_ms, before.max_reassemblies);
        set.max_reassembly_length = before.max_reassembly_length;
        set.expire_walk_interval_ms = before.expire_walk_interval_ms;
        target.ok(&set).await;
        let local = |enable_ip4, enable_ip6| IpLocalReassEnableDisable {
            enable_ip4,
            enable_ip6,
        };
        target.ok(&local(false, true)).await;
        let now = target.api.request(&IpLocalReassGet {}).await.unwrap();
        assert_eq!((now.ip4_is_enabled, now.ip6_is_enabled), (false, true));
        target.ok(&local(true, true)).await;
        let sw_if_index = target.loopback().await;
        for is_on in [true, false] {
            target
                .ok(&IpReassemblyEnableDisable {
                    sw_if_index,
                    enable_ip4: is_on,
                    enable_ip6: is_on,
                    ..IpReassemblyEnableDisable::default()
                })
                .await;
        }
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn a_bridge_keeps_the_addresses_it_answers_for() {
    const BD: u32 = BRIDGE + 7;
    for target in Target::all().await {
        let entry = BdIpMac {
            bd_id: BD,
            ip: "10.77.0.1".parse().unwrap(),
            mac: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 0, 1]),
        };
        let add = BdIpMacAddDel {
            is_add: true,
            entry,
        };
        target.refuses(&add, &[ApiError::NoSuchEntry]).await;
        let bridge = BridgeDomainAddDelV2 {
            bd_id: BD,
            learn: true,
            forward: true,
            flood: true,
            uu_flood: true,
            arp_term: true,
            is_add: true,
            ..BridgeDomainAddDelV2::default()
        };
        target.ok(&bridge).await;
        target.ok(&add).await;
        let found = target.api.dump(&BdIpMacDump { bd_id: BD }).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].entry, entry);
        let other = BdIpMacAddDel {
            is_add: false,
            entry: BdIpMac {
                mac: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 0, 2]),
                ..entry
            },
        };
        target.refuses(&other, &[ApiError::Unspecified]).await;
        target.ok(&BdIpMacFlush { bd_id: BD }).await;
        let found = target.api.dump(&BdIpMacDump { bd_id: BD }).await.unwrap();
        assert!(found.is_empty());
        target
            .ok(&BridgeDomainAddDelV2 {
                is_add: false,
                ..bridge
            })
            .await;
    }
}

#[tokio::test]
async fn neighbours_beyond_the_limit_are_refused() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let config = |max_number| IpNeighborConfig {
            af: AddressFamily::Ip6,
            max_number,
            ..IpNeighborConfig::default()
        };
        let neighbor = |n: u16| IpNeighborAddDel {
            is_add: true,
            neighbor: IpNeighbor {
                sw_if_index,
                mac_address: vpp_api::ethernet_types::MacAddress([2, 0, 0, 0, 0, 1]),
                ip_address: format!("2001:db8::{n}").parse().unwrap(),
                ..IpNeighbor::default()
            },
        };
        target.ok(&config(1)).await;
        target.ok(&neighbor(1)).await;
        target
            .refuses(&neighbor(2), &[ApiError::LimitExceeded])
            .await;
        target.ok(&config(50_000)).await;
        target.ok(&neighbor(2)).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}
