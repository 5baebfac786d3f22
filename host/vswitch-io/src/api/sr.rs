//! Module `sr`: local SIDs, policies, steering.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vpp_api::ApiError;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_types;
use vpp_api::sr::{
    SrLocalsidAddDel, SrLocalsidAddDelV2, SrLocalsidsDetails, SrLocalsidsDump,
    SrLocalsidsWithPacketStatsDetails, SrLocalsidsWithPacketStatsDump, SrPoliciesDetails,
    SrPoliciesDump, SrPoliciesV2Details, SrPoliciesV2Dump, SrPoliciesWithSlIndexDetails,
    SrPoliciesWithSlIndexDump, SrPolicyAdd, SrPolicyAddV2, SrPolicyDel, SrPolicyMod, SrPolicyModV2,
    SrPolicyType, SrSetEncapHopLimit, SrSetEncapSource, SrSteeringAddDel, SrSteeringPolDetails,
    SrSteeringPolDump, Srv6SidList, Srv6SidListWithSlIndex,
};
use vpp_api::sr_types::{SrBehavior, SrPolicyOp, SrSteer};
use vswitch::sr::{
    Behavior, ListInfo, LocalsidInfo, LocalsidSpec, PolicyChange, PolicyInfo, PolicyKind,
    PolicySpec, SrError, Steered,
};

use super::Api;
use super::convert::{index, prefix, prefix_to_api, sw};

/// Numbers of the behaviours that VPP's plug-ins register, in the order in which it loads them.
const DYNAMIC_PROXY: u8 = 14;
const MASQUERADING: u8 = 16;
const STATIC_PROXY: u8 = 17;

/// Steering by something that cannot be steered by.
const BAD_TRAFFIC_TYPE: i32 = -1;

pub(super) fn register(api: &mut Api) {
    register_localsids(api);
    register_policies(api);
    register_encapsulation_and_dumps(api);
    api.on::<SrSteeringAddDel, _>(|engine, request| {
        let steered = match request.traffic_type {
            SrSteer::L2 => Steered::L2(sw(request.sw_if_index)),
            SrSteer::Ipv4 | SrSteer::Ipv6 => Steered::L3 {
                table: request.table_id,
                prefix: steered_prefix(request.traffic_type, request.prefix)?,
            },
            SrSteer::Other(_) => return Err(ApiError::from(BAD_TRAFFIC_TYPE)),
        };
        let dataplane = &mut engine.dataplane;
        let outcome = if request.is_del {
            dataplane.sr_steering_del(steered)
        } else {
            dataplane.sr_steering_add(steered, request.bsid_addr)
        };
        outcome.map_err(code)
    })
    .on_dump::<SrSteeringPolDump>(|engine, _| {
        let all = engine.dataplane.sr_steering();
        all.map(|(steered, bsid)| steering(steered, bsid)).collect()
    });
}

fn register_localsids(api: &mut Api) {
    api.on::<SrLocalsidAddDel, _>(|engine, request| {
        let (prefix_len, usid_len) = default_lengths(request.behavior);
        let request = SrLocalsidAddDelV2 {
            is_del: request.is_del,
            localsid: request.localsid,
            end_psp: request.end_psp,
            behavior: request.behavior,
            sw_if_index: request.sw_if_index,
            vlan_index: request.vlan_index,
            fib_table: request.fib_table,
            nh_addr: request.nh_addr,
            ..SrLocalsidAddDelV2::default()
        };
        change_localsid(&mut engine.dataplane, &request, (prefix_len, usid_len))
    })
    .on::<SrLocalsidAddDelV2, _>(|engine, request| {
        let lengths = lengths(&request)?;
        change_localsid(&mut engine.dataplane, &request, lengths)
    })
    .on_dump::<SrLocalsidsDump>(|engine, _| {
        let all = engine.dataplane.sr_localsids();
        all.iter().map(localsid).collect()
    })
    .on_dump::<SrLocalsidsWithPacketStatsDump>(|engine, _| {
        let all = engine.dataplane.sr_localsids();
        all.iter().map(localsid_with_stats).collect()
    });
}

fn register_policies(api: &mut Api) {
    api.on::<SrPolicyAdd, _>(|engine, request| {
        let kind = if request.is_spray {
            PolicyKind::Spray
        } else {
            PolicyKind::Default
        };
        let spec = PolicySpec {
            bsid: request.bsid_addr,
            kind,
            is_encap: request.is_encap,
            fib_table: request.fib_table,
            encap_src: Ipv6Addr::UNSPECIFIED,
            segments: segments(&request.sids)?,
            weight: request.sids.weight,
        };
        engine.dataplane.sr_policy_add(&spec).map_err(code)
    })
    .on::<SrPolicyAddV2, _>(|engine, request| {
        let kind = match request.r#type {
            SrPolicyType::Default => PolicyKind::Default,
            SrPolicyType::Spray => PolicyKind::Spray,
            SrPolicyType::Tef => return Err(ApiError::Unimplemented),
            SrPolicyType::Other(_) => return Err(ApiError::InvalidValue),
        };
        let spec = PolicySpec {
            bsid: request.bsid_addr,
            kind,
            is_encap: request.is_encap,
            fib_table: request.fib_table,
            encap_src: request.encap_src,
            segments: segments(&request.sids)?,
            weight: request.sids.weight,
        };
        engine.dataplane.sr_policy_add(&spec).map_err(code)
    })
    .on::<SrPolicyMod, _>(|engine, request| {
        let change = change(
            request.operation,
            request.sl_index,
            &request.sids,
            Ipv6Addr::UNSPECIFIED,
        )?;
        let dataplane = &mut engine.dataplane;
        dataplane
            .sr_policy_mod(request.bsid_addr, &change)
            .map_err(code)
    })
    .on::<SrPolicyModV2, _>(|engine, request| {
        let change = change(
            request.operation,
            request.sl_index,
            &request.sids,
            request.encap_src,
        )?;
        let dataplane = &mut engine.dataplane;
        dataplane
            .sr_policy_mod(request.bsid_addr, &change)
            .map_err(code)
    })
    .on::<SrPolicyDel, _>(|engine, request| {
        engine
            .dataplane
            .sr_policy_del(request.bsid_addr)
            .map_err(code)
    });
}

fn register_encapsulation_and_dumps(api: &mut Api) {
    api.on::<SrSetEncapSource, _>(|engine, request| {
        engine.dataplane.sr_set_encap_source(request.encaps_source);
        Ok(())
    })
    .on::<SrSetEncapHopLimit, _>(|engine, request| {
        engine
            .dataplane
            .sr_set_encap_hop_limit(request.hop_limit)
            .map_err(code)
    })
    .on_dump::<SrPoliciesDump>(|engine, _| {
        let all = engine.dataplane.sr_policies();
        all.iter().map(policy).collect()
    })
    .on_dump::<SrPoliciesV2Dump>(|engine, _| {
        let all = engine.dataplane.sr_policies();
        all.iter().map(policy_v2).collect()
    })
    .on_dump::<SrPoliciesWithSlIndexDump>(|engine, _| {
        let all = engine.dataplane.sr_policies();
        all.iter().map(policy_with_indexes).collect()
    });
}

fn code(error: SrError) -> ApiError {
    ApiError::from(error.retval())
}

/// Prefix length and length of a micro-SID that version 1 of the request implies, in bits.
fn default_lengths(behavior: SrBehavior) -> (u8, u8) {
    match u8::from(behavior) {
        11 | 12 => (48, 16),
        13 => (64, 16),
        _ => (128, 0),
    }
}

fn lengths(request: &SrLocalsidAddDelV2) -> Result<(u8, u8), ApiError> {
    let parts = [
        request.locator_block_len,
        request.locator_node_len,
        request.function_len,
    ];
    if parts == [0; 3] {
        return Ok(default_lengths(request.behavior));
    }
    let total: u16 = parts.iter().map(|len| u16::from(*len)).sum();
    let [_, node, function] = parts;
    let is_micro = default_lengths(request.behavior).1 > 0;
    let total = u8::try_from(total).ok().filter(|total| *total <= 128);
    match (total, node.saturating_add(function)) {
        _ if parts.iter().any(|len| !len.is_multiple_of(8)) => Err(ApiError::InvalidValue),
        (Some(total), usid @ (16 | 32)) if is_micro => Ok((total, usid)),
        (Some(total), _) if !is_micro => Ok((total, 0)),
        _ => Err(ApiError::InvalidValue),
    }
}

fn change_localsid(
    dataplane: &mut vswitch::Dataplane,
    request: &SrLocalsidAddDelV2,
    (prefix_len, usid_len): (u8, u8),
) -> Result<(), ApiError> {
    if request.is_del {
        return dataplane
            .sr_localsid_del(request.localsid, prefix_len)
            .map_err(code);
    }
    let spec = LocalsidSpec {
        sid: request.localsid,
        prefix_len,
        usid_len,
        psp: request.end_psp,
        fib_table: request.fib_table,
        behavior: behavior(request)?,
    };
    dataplane.sr_localsid_add(spec).map_err(code)
}

fn behavior(request: &SrLocalsidAddDelV2) -> Result<Behavior, ApiError> {
    let on = sw(request.sw_if_index);
    // Behaviours that look up name their table in this field.
    let table = request.sw_if_index.0;
    let next_hop = || match request.nh_addr {
        IpAddr::V6(next_hop) => Ok(next_hop),
        IpAddr::V4(_) => Err(ApiError::InvalidValue),
    };
    Ok(match request.behavior {
        SrBehavior::End => Behavior::End,
        SrBehavior::X => Behavior::X {
            on,
            next_hop: next_hop()?,
        },
        SrBehavior::T => Behavior::T { table },
        SrBehavior::Dx2 => Behavior::Dx2 { on },
        SrBehavior::Dx6 => Behavior::Dx6 {
            on,
            next_hop: next_hop()?,
        },
        SrBehavior::Dx4 => match request.nh_addr {
            IpAddr::V4(next_hop) => Behavior::Dx4 { on, next_hop },
            IpAddr::V6(_) => return Err(ApiError::InvalidValue),
        },
        SrBehavior::Dt6 => Behavior::Dt6 { table },
        SrBehavior::Dt4 => Behavior::Dt4 { table },
        SrBehavior::UnPerf => Behavior::UnPerf,
        SrBehavior::Un => Behavior::Un,
        SrBehavior::Ua => Behavior::Ua {
            on,
            next_hop: next_hop()?,
        },
        // VPP takes the first two for nothing in particular, and ends when asked for a plug-in's number.
        SrBehavior::DFirst | SrBehavior::Last | SrBehavior::Other(0) => {
            return Err(ApiError::InvalidValue);
        }
        SrBehavior::Other(_) => return Err(ApiError::Unimplemented),
    })
}

/// Number, next hop and "interface or table" of a behaviour, as dumps show them.
fn shown(behavior: &Behavior) -> (SrBehavior, IpAddr, u32) {
    let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    match behavior {
        Behavior::End => (SrBehavior::End, none, 0),
        Behavior::X { on, next_hop } => (SrBehavior::X, (*next_hop).into(), on.0),
        Behavior::T { table } => (SrBehavior::T, none, *table),
        Behavior::Dx2 { on } => (SrBehavior::Dx2, none, on.0),
        Behavior::Dx6 { on, next_hop } => (SrBehavior::Dx6, (*next_hop).into(), on.0),
        Behavior::Dx4 { on, next_hop } => (SrBehavior::Dx4, (*next_hop).into(), on.0),
        Behavior::Dt6 { table } => (SrBehavior::Dt6, none, *table),
        Behavior::Dt4 { table } => (SrBehavior::Dt4, none, *table),
        Behavior::UnPerf => (SrBehavior::UnPerf, none, 0),
        Behavior::Un => (SrBehavior::Un, none, 0),
        Behavior::Ua { on, next_hop } => (SrBehavior::Ua, (*next_hop).into(), on.0),
        Behavior::StaticProxy { .. } => (SrBehavior::Other(STATIC_PROXY), none, 0),
        Behavior::DynamicProxy(_) => (SrBehavior::Other(DYNAMIC_PROXY), none, 0),
        Behavior::Masquerading(_) => (SrBehavior::Other(MASQUERADING), none, 0),
    }
}

fn localsid(info: &LocalsidInfo) -> SrLocalsidsDetails {
    let (behavior, xconnect_nh_addr, iface_or_table) = shown(&info.spec.behavior);
    SrLocalsidsDetails {
        addr: info.spec.sid,
        end_psp: info.spec.psp,
        behavior,
        fib_table: info.spec.fib_table,
        vlan_index: 0,
        xconnect_nh_addr,
        xconnect_iface_or_vrf_table: iface_or_table,
    }
}

fn localsid_with_stats(info: &LocalsidInfo) -> SrLocalsidsWithPacketStatsDetails {
    let plain = localsid(info);
    SrLocalsidsWithPacketStatsDetails {
        addr: plain.addr,
        end_psp: plain.end_psp,
        behavior: plain.behavior,
        fib_table: plain.fib_table,
        vlan_index: plain.vlan_index,
        xconnect_nh_addr: plain.xconnect_nh_addr,
        xconnect_iface_or_vrf_table: plain.xconnect_iface_or_vrf_table,
        good_traffic_bytes: info.counters.good.bytes,
        good_traffic_pkt_count: info.counters.good.packets,
        bad_traffic_bytes: info.counters.bad.bytes,
        bad_traffic_pkt_count: info.counters.bad.packets,
    }
}

fn segments(list: &Srv6SidList) -> Result<Vec<Ipv6Addr>, ApiError> {
    let sids = list.sids.get(..usize::from(list.num_sids));
    sids.map(<[_]>::to_vec).ok_or(ApiError::InvalidValue)
}

fn change(
    operation: SrPolicyOp,
    list: u32,
    sids: &Srv6SidList,
    encap_src: Ipv6Addr,
) -> Result<PolicyChange, ApiError> {
    let weight = sids.weight;
    Ok(match operation {
        SrPolicyOp::Add => PolicyChange::Add {
            segments: segments(sids)?,
            encap_src,
            weight,
        },
        SrPolicyOp::Del => PolicyChange::Del { list },
        SrPolicyOp::Mod => PolicyChange::Weigh { list, weight },
        SrPolicyOp::None | SrPolicyOp::Other(_) => return Err(code(SrError::NoPolicy)),
    })
}

fn kind(kind: PolicyKind) -> SrPolicyType {
    match kind {
        PolicyKind::Default => SrPolicyType::Default,
        PolicyKind::Spray => SrPolicyType::Spray,
    }
}

fn list(info: &ListInfo) -> Srv6SidList {
    let mut sids = [Ipv6Addr::UNSPECIFIED; 16];
    for (to, from) in sids.iter_mut().zip(&info.segments) {
        *to = *from;
    }
    Srv6SidList {
        num_sids: u8::try_from(info.segments.len()).unwrap_or(u8::MAX),
        weight: info.weight,
        sids,
    }
}

fn policy(info: &PolicyInfo) -> SrPoliciesDetails {
    SrPoliciesDetails {
        bsid: info.bsid,
        is_spray: info.kind == PolicyKind::Spray,
        is_encap: info.is_encap,
        fib_table: info.fib_table,
        sid_lists: info.lists.iter().map(list).collect(),
    }
}

fn policy_v2(info: &PolicyInfo) -> SrPoliciesV2Details {
    SrPoliciesV2Details {
        bsid: info.bsid,
        encap_src: info.encap_src,
        r#type: kind(info.kind),
        is_encap: info.is_encap,
        fib_table: info.fib_table,
        sid_lists: info.lists.iter().map(list).collect(),
    }
}

fn policy_with_indexes(info: &PolicyInfo) -> SrPoliciesWithSlIndexDetails {
    let with_index = |info: &ListInfo| {
        let plain = list(info);
        Srv6SidListWithSlIndex {
            num_sids: plain.num_sids,
            weight: plain.weight,
            sl_index: info.index,
            sids: plain.sids,
        }
    };
    SrPoliciesWithSlIndexDetails {
        bsid: info.bsid,
        is_spray: info.kind == PolicyKind::Spray,
        is_encap: info.is_encap,
        fib_table: info.fib_table,
        sid_lists: info.lists.iter().map(with_index).collect(),
    }
}

/// The type of traffic says which family the prefix is of.
fn steered_prefix(of: SrSteer, raw: ip_types::Prefix) -> Result<vswitch::Prefix, ApiError> {
    let prefix = prefix(raw)?;
    if prefix.addr.is_ipv6() == (of == SrSteer::Ipv6) {
        Ok(prefix)
    } else {
        Err(ApiError::InvalidValue)
    }
}

fn steering(steered: Steered, bsid: Ipv6Addr) -> SrSteeringPolDetails {
    match steered {
        Steered::L2(on) => SrSteeringPolDetails {
            traffic_type: SrSteer::L2,
            sw_if_index: index(on),
            bsid,
            ..SrSteeringPolDetails::default()
        },
        Steered::L3 { table, prefix } => SrSteeringPolDetails {
            traffic_type: if prefix.addr.is_ipv6() {
                SrSteer::Ipv6
            } else {
                SrSteer::Ipv4
            },
            fib_table: table,
            prefix: prefix_to_api(prefix),
            sw_if_index: InterfaceIndex::NONE,
            bsid,
        },
    }
}
