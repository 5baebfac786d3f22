//! Segment routing: local SIDs, policies, steering.

use std::net::{IpAddr, Ipv6Addr};

use vpp_api::ApiError;
use vpp_api::ip::{IpRoute, IpRouteAddDel, IpTable, IpTableAddDel};
use vpp_api::sr::{
    SrLocalsidAddDel, SrLocalsidAddDelV2, SrLocalsidsDump, SrLocalsidsWithPacketStatsDump,
    SrPoliciesV2Dump, SrPoliciesWithSlIndexDump, SrPolicyAdd, SrPolicyAddV2, SrPolicyDel,
    SrPolicyMod, SrPolicyType, SrSetEncapHopLimit, SrSetEncapSource, SrSteeringAddDel,
    SrSteeringPolDump, Srv6SidList,
};
use vpp_api::sr_types::{SrBehavior, SrPolicyOp, SrSteer};
use vpp_api::{Request, interface::DeleteLoopback};

use crate::target::{TABLE, Target, path, prefix};

fn sid(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// VPP's segment routing has numbers of its own.
fn number(retval: i32) -> ApiError {
    ApiError::from(retval)
}

fn localsid(at: &str, behavior: SrBehavior) -> SrLocalsidAddDel {
    SrLocalsidAddDel {
        localsid: sid(at),
        behavior,
        ..SrLocalsidAddDel::default()
    }
}

fn list(path: &[&str], weight: u32) -> Srv6SidList {
    let mut list = Srv6SidList {
        num_sids: u8::try_from(path.len()).unwrap(),
        weight,
        ..Srv6SidList::default()
    };
    for (to, from) in list.sids.iter_mut().zip(path) {
        *to = sid(from);
    }
    list
}

fn policy(bsid: &str, is_encap: bool) -> SrPolicyAdd {
    SrPolicyAdd {
        bsid_addr: sid(bsid),
        is_encap,
        sids: list(&["fd77:a::1", "fd77:a::2"], 3),
        ..SrPolicyAdd::default()
    }
}

fn steering(bsid: &str, to: &str) -> SrSteeringAddDel {
    let prefix = prefix(to);
    SrSteeringAddDel {
        bsid_addr: sid(bsid),
        traffic_type: if prefix.address.is_ipv6() {
            SrSteer::Ipv6
        } else {
            SrSteer::Ipv4
        },
        prefix,
        ..SrSteeringAddDel::default()
    }
}

fn without<M: Clone + Request>(request: &M, change: impl FnOnce(&mut M)) -> M {
    let mut changed = request.clone();
    change(&mut changed);
    changed
}

#[tokio::test]
async fn a_local_sid_exists_once_and_yields_to_routes() {
    for target in Target::all().await {
        let end = localsid("fd77:1::1", SrBehavior::End);
        let del = without(&end, |request| request.is_del = true);
        target.refuses(&del, &[number(-2)]).await;
        target.ok(&end).await;
        target.refuses(&end, &[number(-1)]).await;
        let elsewhere = without(&end, |request| {
            request.localsid = sid("fd77:1::2");
            request.fib_table = TABLE + 9;
        });
        target.refuses(&elsewhere, &[number(-3)]).await;
        let sw_if_index = target.loopback().await;
        let route = IpRouteAddDel {
            is_add: true,
            route: IpRoute {
                prefix: prefix("fd77:1::3/128"),
                paths: vec![path6("fd77:9::2", sw_if_index)],
                ..IpRoute::default()
            },
            ..IpRouteAddDel::default()
        };
        target.ok(&route).await;
        target
            .refuses(&localsid("fd77:1::3", SrBehavior::End), &[number(-4)])
            .await;
        target
            .refuses(&policy_at("fd77:1::3"), &[number(-12)])
            .await;
        target
            .ok(&without(&route, |request| request.is_add = false))
            .await;
        let nowhere = without(&localsid("fd77:1::4", SrBehavior::Dx2), |request| {
            request.sw_if_index = vpp_api::interface_types::InterfaceIndex(77_777);
        });
        target
            .refuses(&nowhere, &[ApiError::InvalidSwIfIndex])
            .await;
        target.ok(&del).await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

fn policy_at(bsid: &str) -> SrPolicyAdd {
    policy(bsid, true)
}

fn path6(
    next_hop: &str,
    on: vpp_api::interface_types::InterfaceIndex,
) -> vpp_api::fib_types::FibPath {
    vpp_api::fib_types::FibPath {
        proto: vpp_api::fib_types::FibPathNhProto::Ip6,
        ..path(next_hop, on)
    }
}

#[tokio::test]
async fn local_sids_are_dumped_as_they_were_added() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let table = IpTableAddDel {
            is_add: true,
            table: IpTable {
                table_id: TABLE,
                ..IpTable::default()
            },
        };
        target.ok(&table).await;
        let next_hop: IpAddr = "fd77:9::2".parse().unwrap();
        let x = SrLocalsidAddDel {
            end_psp: true,
            sw_if_index,
            nh_addr: next_hop,
            ..localsid("fd77:2::1", SrBehavior::X)
        };
        let dx4 = SrLocalsidAddDel {
            sw_if_index,
            nh_addr: "10.77.9.2".parse().unwrap(),
            ..localsid("fd77:2::2", SrBehavior::Dx4)
        };
        let dt4 = SrLocalsidAddDel {
            sw_if_index: vpp_api::interface_types::InterfaceIndex(TABLE),
            ..localsid("fd77:2::3", SrBehavior::Dt4)
        };
        let micro = localsid("fd77:2:3::", SrBehavior::Un);
        for request in [&x, &dx4, &dt4, &micro] {
            target.ok(request).await;
        }
        let all = target.api.dump(&SrLocalsidsDump {}).await.unwrap();
        let of = |at: &str| all.iter().find(|details| details.addr == sid(at)).unwrap();
        let shown = of("fd77:2::1");
        assert_eq!((shown.behavior, shown.end_psp), (SrBehavior::X, true));
        assert_eq!(shown.xconnect_nh_addr, next_hop);
        assert_eq!(shown.xconnect_iface_or_vrf_table, sw_if_index.0);
        let shown = of("fd77:2::2");
        assert_eq!(shown.xconnect_nh_addr, dx4.nh_addr);
        assert_eq!((shown.behavior, shown.end_psp), (SrBehavior::Dx4, false));
        let shown = of("fd77:2::3");
        assert_eq!(shown.xconnect_iface_or_vrf_table, TABLE);
        assert_eq!(of("fd77:2:3::").behavior, SrBehavior::Un);
        let stats = target
            .api
            .dump(&SrLocalsidsWithPacketStatsDump {})
            .await
            .unwrap();
        let unused = stats
            .iter()
            .find(|details| details.addr == sid("fd77:2::1"))
            .unwrap();
        assert_eq!(
            (unused.good_traffic_pkt_count, unused.bad_traffic_bytes),
            (0, 0)
        );
        for request in [x, dx4, dt4, micro] {
            target
                .ok(&without(&request, |request| request.is_del = true))
                .await;
        }
        target
            .ok(&without(&table, |request| request.is_add = false))
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn lengths_of_a_sid_are_checked() {
    for target in Target::all().await {
        let v2 = |behavior, lengths: [u8; 3]| SrLocalsidAddDelV2 {
            localsid: sid("fd77:3:4::"),
            behavior,
            locator_block_len: lengths[0],
            locator_node_len: lengths[1],
            function_len: lengths[2],
            ..SrLocalsidAddDelV2::default()
        };
        for (behavior, lengths) in [
            (SrBehavior::End, [32, 12, 0]),
            (SrBehavior::End, [64, 64, 8]),
            (SrBehavior::Un, [48, 0, 0]),
            (SrBehavior::Un, [32, 24, 0]),
        ] {
            target
                .refuses(&v2(behavior, lengths), &[ApiError::InvalidValue])
                .await;
        }
        for (behavior, lengths) in [
            (SrBehavior::End, [32, 16, 16]),
            (SrBehavior::Un, [32, 16, 0]),
            (SrBehavior::Un, [16, 16, 16]),
        ] {
            let request = v2(behavior, lengths);
            target.ok(&request).await;
            target
                .ok(&without(&request, |request| request.is_del = true))
                .await;
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn segment_lists_of_a_policy_come_and_go() {
    for target in Target::all().await {
        let (bsid_addr, source) = (sid("fd77:b::1"), sid("fd77:c::1"));
        target
            .ok(&SrSetEncapSource {
                encaps_source: source,
            })
            .await;
        target
            .refuses(
                &SrSetEncapHopLimit { hop_limit: 0 },
                &[ApiError::InvalidValue],
            )
            .await;
        target.ok(&SrSetEncapHopLimit { hop_limit: 64 }).await;
        let del = SrPolicyDel {
            bsid_addr,
            ..SrPolicyDel::default()
        };
        target.refuses(&del, &[number(-1)]).await;
        target.ok(&policy_at("fd77:b::1")).await;
        target
            .refuses(&policy_at("fd77:b::1"), &[number(-12)])
            .await;
        let elsewhere = without(&policy_at("fd77:b::2"), |request| {
            request.fib_table = TABLE + 9;
        });
        target.refuses(&elsewhere, &[number(-13)]).await;
        let add = SrPolicyMod {
            bsid_addr,
            operation: SrPolicyOp::Add,
            sids: list(&["fd77:a::9"], 5),
            ..SrPolicyMod::default()
        };
        target
            .refuses(
                &without(&add, |request| request.bsid_addr = sid("fd77:b::9")),
                &[number(-1)],
            )
            .await;
        target.ok(&add).await;
        let lists = lists(&target, bsid_addr).await;
        assert_eq!(
            lists
                .iter()
                .map(|list| (list.1, list.2.len()))
                .collect::<Vec<_>>(),
            [(3, 2), (5, 1)]
        );
        assert_eq!(lists[0].2, [sid("fd77:a::1"), sid("fd77:a::2")]);
        let weigh = SrPolicyMod {
            operation: SrPolicyOp::Mod,
            sl_index: lists[0].0,
            sids: list(&[], 7),
            ..add.clone()
        };
        target.ok(&weigh).await;
        assert_eq!(self::lists(&target, bsid_addr).await[0].1, 7);
        let drop_list = SrPolicyMod {
            operation: SrPolicyOp::Del,
            ..weigh
        };
        target.ok(&drop_list).await;
        target.refuses(&drop_list, &[number(-21)]).await;
        let shown = target.api.dump(&SrPoliciesV2Dump {}).await.unwrap();
        let shown = shown
            .iter()
            .find(|details| details.bsid == bsid_addr)
            .unwrap();
        assert_eq!((shown.encap_src, shown.is_encap), (source, true));
        assert_eq!(
            (shown.r#type, shown.sid_lists.len()),
            (SrPolicyType::Default, 1)
        );
        target.ok(&del).await;
        let spray = SrPolicyAddV2 {
            bsid_addr,
            is_encap: true,
            r#type: SrPolicyType::Spray,
            sids: list(&["fd77:a::9"], 1),
            encap_src: sid("fd77:c::7"),
            ..SrPolicyAddV2::default()
        };
        target.ok(&spray).await;
        let shown = target.api.dump(&SrPoliciesV2Dump {}).await.unwrap();
        let shown = shown
            .iter()
            .find(|details| details.bsid == bsid_addr)
            .unwrap();
        assert_eq!(
            (shown.encap_src, shown.r#type),
            (sid("fd77:c::7"), SrPolicyType::Spray)
        );
        target.ok(&del).await;
    }
}

/// Index, weight and segments of each list of a policy.
async fn lists(target: &Target, bsid: Ipv6Addr) -> Vec<(u32, u32, Vec<Ipv6Addr>)> {
    let all = target
        .api
        .dump(&SrPoliciesWithSlIndexDump {})
        .await
        .unwrap();
    let policy = all
        .into_iter()
        .find(|details| details.bsid == bsid)
        .unwrap();
    let of = |list: &vpp_api::sr::Srv6SidListWithSlIndex| {
        let segments = list.sids[..usize::from(list.num_sids)].to_vec();
        (list.sl_index, list.weight, segments)
    };
    policy.sid_lists.iter().map(of).collect()
}

#[tokio::test]
async fn steering_names_its_traffic_and_its_policy() {
    for target in Target::all().await {
        let (encap, insert) = ("fd77:b::4", "fd77:b::5");
        target.ok(&policy(encap, true)).await;
        target.ok(&policy(insert, false)).await;
        let to_v4 = steering(encap, "10.77.0.0/16");
        let to_v6 = steering(insert, "fd77:d::/48");
        target
            .refuses(
                &without(&to_v4, |request| request.is_del = true),
                &[number(-4)],
            )
            .await;
        target
            .refuses(
                &without(&to_v4, |request| request.bsid_addr = sid("fd77:b::9")),
                &[number(-2)],
            )
            .await;
        target
            .refuses(&steering(insert, "10.77.0.0/16"), &[number(-5)])
            .await;
        target.ok(&to_v4).await;
        target.ok(&to_v6).await;
        let all = target.api.dump(&SrSteeringPolDump {}).await.unwrap();
        let of = |kind, bsid: &str| {
            all.iter().any(|details| {
                (details.traffic_type, details.bsid, details.fib_table) == (kind, sid(bsid), 0)
            })
        };
        assert!(
            of(SrSteer::Ipv4, encap) && of(SrSteer::Ipv6, insert),
            "{all:?}"
        );
        // The same traffic into another policy is a change, not an error.
        target.ok(&steering(encap, "fd77:d::/48")).await;
        let all = target.api.dump(&SrSteeringPolDump {}).await.unwrap();
        let v6: Vec<_> = all
            .iter()
            .filter(|details| details.traffic_type == SrSteer::Ipv6)
            .collect();
        assert_eq!((v6.len(), v6[0].bsid), (1, sid(encap)));
        let no_interface = SrSteeringAddDel {
            traffic_type: SrSteer::L2,
            sw_if_index: vpp_api::interface_types::InterfaceIndex(77_777),
            ..to_v4.clone()
        };
        target
            .refuses(&no_interface, &[ApiError::InvalidSwIfIndex])
            .await;
        for steering in [to_v4, to_v6] {
            target
                .ok(&without(&steering, |request| request.is_del = true))
                .await;
        }
        for bsid in [encap, insert] {
            let del = SrPolicyDel {
                bsid_addr: sid(bsid),
                ..SrPolicyDel::default()
            };
            target.ok(&del).await;
        }
    }
}

#[tokio::test]
async fn proxies_are_set_up_on_the_command_line() {
    for target in Target::all().await {
        let (out, back) = (target.loopback().await, target.loopback().await);
        let (out_name, back_name) = (name(&target, out).await, name(&target, back).await);
        let way = format!("oif {out_name} iif {back_name}");
        for line in [
            format!("sr localsid address fd77:e::1 behavior end.ad nh 10.77.8.2 {way}"),
            format!(
                "sr localsid address fd77:e::2 behavior end.as nh fd77:8::2 {way} src fd77:c::1 next fd77:a::1 next fd77:a::2"
            ),
            format!("sr localsid address fd77:e::3 behavior end.am nh fd77:8::2 {way}"),
        ] {
            assert_eq!(
                cli(&target, &line).await.trim(),
                "",
                "`{line}` on {}",
                target.name
            );
        }
        let all = target.api.dump(&SrLocalsidsDump {}).await.unwrap();
        for at in ["fd77:e::1", "fd77:e::2", "fd77:e::3"] {
            let details = all.iter().find(|details| details.addr == sid(at)).unwrap();
            assert!(u8::from(details.behavior) >= 14, "{at}: {details:?}");
        }
        let shown = cli(&target, "show sr localsids").await;
        assert!(
            shown.contains("fd77:e::2/128") && shown.contains("fd77:a::1, fd77:a::2"),
            "{shown}"
        );
        for at in 1..=3 {
            let line = format!("sr localsid del address fd77:e::{at}");
            let prefixed = format!("sr localsid del prefix fd77:e::{at}/128");
            if cli(&target, &line).await.trim() != "" {
                assert_eq!(cli(&target, &prefixed).await.trim(), "", "{prefixed}");
            }
        }
        let incomplete =
            format!("sr localsid address fd77:e::9 behavior end.as nh fd77:8::2 {way}");
        assert_ne!(cli(&target, &incomplete).await.trim(), "");
        for sw_if_index in [out, back] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

async fn name(target: &Target, of: vpp_api::interface_types::InterfaceIndex) -> String {
    target
        .interface(of)
        .await
        .interface_name
        .as_str()
        .to_owned()
}

/// What a command prints; real VPP may answer a refusal with a code alone.
async fn cli(target: &Target, line: &str) -> String {
    let request = vpp_api::vlib::CliInband { cmd: line.into() };
    match target.api.request(&request).await {
        Ok(answer) => answer.reply,
        Err(error) => error.to_string(),
    }
}
