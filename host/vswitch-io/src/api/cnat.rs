//! Module `cnat`.

use std::net::Ipv4Addr;

use vpp_api::cnat::{
    Cnat5tuple, CnatEndpoint, CnatEndpointTuple, CnatGetSnatAddresses, CnatGetSnatAddressesReply,
    CnatLbType, CnatSession, CnatSessionDetails, CnatSessionDump, CnatSessionPurge,
    CnatSetSnatAddresses, CnatSetSnatAddressesV2, CnatSetSnatPolicy, CnatSnatAddressesDetails,
    CnatSnatAddressesDump, CnatSnatPolicies, CnatSnatPolicyAddDelExcludePfx,
    CnatSnatPolicyAddDelIf, CnatSnatPolicyTable, CnatTranslation, CnatTranslationDel,
    CnatTranslationDetails, CnatTranslationDump, CnatTranslationUpdate, CnatTranslationUpdateReply,
    FeatureCnatEnableDisable,
};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::IpFlowHashConfigV2;
use vpp_api::ip_types::{AddressFamily, IpProto};
use vpp_api::{ApiError, Retval};
use vswitch::cnat::{
    Balance, Endpoint, Path, Place, Resolved, SessionInfo, SnatInfo, SnatKind, SnatSet,
    TranslationInfo, TranslationSpec,
};
use vswitch::{Family, SwIfIndex};

use super::Api;
use super::convert::{Coded, family_of, index, prefix, sw};

/// Table 0, as VPP indexes it.
const TABLE_0: (u32, u32) = (0, 0);
/// VPP's `CNAT_SNAT_POLICY_DNAT_ONLY`, which its API accepts but does not name.
const POLICY_DNAT_ONLY: u8 = 4;

pub(super) fn register(api: &mut Api) {
    register_translations(api);
    register_sessions(api);
    register_snat(api);
    register_policy(api);
}

fn register_translations(api: &mut Api) {
    api.on::<CnatTranslationUpdate, _>(|engine, request| {
        let spec = spec(&request.translation)?;
        let id = engine.dataplane.cnat_translation_update(&spec).coded()?;
        Ok(CnatTranslationUpdateReply {
            retval: Retval::OK,
            id,
        })
    })
    .on::<CnatTranslationDel, _>(|engine, request| {
        engine.dataplane.cnat_translation_del(request.id).coded()
    })
    .on_dump::<CnatTranslationDump>(|engine, _| {
        let details = |info: TranslationInfo| CnatTranslationDetails {
            translation: translation(&info),
        };
        engine
            .dataplane
            .cnat_translations()
            .into_iter()
            .map(details)
            .collect()
    })
    .on::<FeatureCnatEnableDisable, _>(|engine, request| {
        let (on, enable) = (sw(request.sw_if_index), request.enable_disable);
        engine
            .dataplane
            .feature_cnat_enable_disable(on, enable)
            .coded()
    });
}

fn register_sessions(api: &mut Api) {
    api.on::<CnatSessionPurge, _>(|engine, _| {
        engine.dataplane.cnat_purge();
        Ok(())
    })
    .on_dump::<CnatSessionDump>(|engine, _| {
        let mut all = Vec::new();
        engine.dataplane.cnat_sessions(engine.now(), |info| {
            all.push(CnatSessionDetails {
                session: session(&info),
            });
        });
        all
    });
}

fn register_snat(api: &mut Api) {
    api.on::<CnatSetSnatAddresses, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        let (ip4, ip6) = (request.snat_ip4, request.snat_ip6);
        engine
            .dataplane
            .cnat_set_snat_addresses(TABLE_0, ip4, ip6, on, 0)
            .coded()
    })
    .on::<CnatSetSnatAddressesV2, _>(|engine, request| {
        let fibs = (request.fwd_fib_index, request.ret_fib_index);
        let (on, flags) = (sw(request.sw_if_index), u8::from(request.flags));
        let (ip4, ip6) = (request.snat_ip4, request.snat_ip6);
        engine
            .dataplane
            .cnat_set_snat_addresses(fibs, ip4, ip6, on, flags)
            .coded()
    })
    .on::<CnatGetSnatAddresses, _>(|engine, _| {
        let info = engine.dataplane.cnat_snat_default().coded()?;
        Ok(CnatGetSnatAddressesReply {
            retval: Retval::OK,
            id: 0,
            snat_ip4: info.ip4,
            snat_ip6: info.ip6,
            sw_if_index: index(info.sw_if_index),
        })
    })
    .on_dump::<CnatSnatAddressesDump>(|engine, _| {
        let details = |info: &SnatInfo| CnatSnatAddressesDetails {
            retval: Retval::OK,
            fwd_table_id4: info.fwd_tables[0],
            fwd_table_id6: info.fwd_tables[1],
            ret_table_id4: info.ret_tables[0],
            ret_table_id6: info.ret_tables[1],
            snat_ip4: info.ip4,
            snat_ip6: info.ip6,
            sw_if_index: index(info.sw_if_index),
        };
        engine
            .dataplane
            .cnat_snat_addresses()
            .iter()
            .map(details)
            .collect()
    });
}

fn register_policy(api: &mut Api) {
    api.on::<CnatSnatPolicyAddDelExcludePfx, _>(|engine, request| {
        let prefix = prefix(request.prefix)?;
        engine
            .dataplane
            .cnat_snat_policy_exclude(request.is_add != 0, prefix)
            .coded()
    })
    .on::<CnatSnatPolicyAddDelIf, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        engine.dataplane.interface(on).coded()?;
        let set = match request.table {
            CnatSnatPolicyTable::IncludeV4 => SnatSet::IncludeV4,
            CnatSnatPolicyTable::IncludeV6 => SnatSet::IncludeV6,
            CnatSnatPolicyTable::Pod => SnatSet::Pod,
            CnatSnatPolicyTable::Host => SnatSet::Host,
            CnatSnatPolicyTable::Other(_) => return Err(ApiError::InvalidValue),
        };
        engine
            .dataplane
            .cnat_snat_policy_add_del_if(on, request.is_add != 0, set)
            .coded()
    })
    .on::<CnatSetSnatPolicy, _>(|engine, request| {
        engine.dataplane.cnat_snat_default().coded()?;
        let kind = match request.policy {
            CnatSnatPolicies::None => SnatKind::None,
            CnatSnatPolicies::IfPfx => SnatKind::IfPfx,
            CnatSnatPolicies::K8s => SnatKind::K8s,
            CnatSnatPolicies::Dnat => SnatKind::Dnat,
            CnatSnatPolicies::Other(POLICY_DNAT_ONLY) => SnatKind::DnatOnly,
            CnatSnatPolicies::Other(_) => return Err(ApiError::InvalidValue),
        };
        engine.dataplane.cnat_set_snat_policy(kind).coded()
    });
}

fn spec(translation: &CnatTranslation) -> Result<TranslationSpec, ApiError> {
    let path = |path: &CnatEndpointTuple| {
        Ok(Path {
            dst: endpoint(&path.dst_ep)?,
            src: endpoint(&path.src_ep)?,
            flags: path.flags,
        })
    };
    Ok(TranslationSpec {
        vip: endpoint(&translation.vip)?,
        protocol: translation.ip_proto.into(),
        flags: translation.flags,
        exclusive: translation.is_real_ip == 0,
        balance: match translation.lb_type {
            CnatLbType::Maglev => Balance::Maglev,
            // VPP takes any other number for its default, too.
            CnatLbType::Default | CnatLbType::Other(_) => Balance::Default,
        },
        flow_hash: translation.flow_hash_config.0,
        paths: translation
            .paths
            .iter()
            .map(path)
            .collect::<Result<_, ApiError>>()?,
    })
}

fn endpoint(endpoint: &CnatEndpoint) -> Result<Endpoint, ApiError> {
    let place = if endpoint.sw_if_index == InterfaceIndex::NONE {
        Place::Address(endpoint.addr)
    } else {
        Place::Interface(sw(endpoint.sw_if_index), family_of(endpoint.if_af)?)
    };
    Ok(Endpoint {
        place,
        port: endpoint.port,
    })
}

/// As VPP's dump: without flags, flow hash and `is_real_ip`.
fn translation(info: &TranslationInfo) -> CnatTranslation {
    CnatTranslation {
        vip: endpoint_to_api(&info.vip),
        id: info.id,
        ip_proto: IpProto::from(info.protocol),
        is_real_ip: 0,
        flags: 0,
        lb_type: match info.balance {
            Balance::Default => CnatLbType::Default,
            Balance::Maglev => CnatLbType::Maglev,
        },
        flow_hash_config: IpFlowHashConfigV2::EMPTY,
        paths: info
            .paths
            .iter()
            .map(|path| CnatEndpointTuple {
                dst_ep: endpoint_to_api(&path.dst),
                src_ep: endpoint_to_api(&path.src),
                flags: path.flags,
            })
            .collect(),
    }
}

fn endpoint_to_api(resolved: &Resolved) -> CnatEndpoint {
    let (on, family) = match resolved.endpoint.place {
        Place::Address(ip) => (SwIfIndex::NONE, Family::of(ip)),
        Place::Interface(on, family) => (on, family),
    };
    // VPP leaves an address that is not known zero.
    let addr = resolved.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    CnatEndpoint {
        addr,
        sw_if_index: index(on),
        if_af: match family {
            Family::V4 => AddressFamily::Ip4,
            Family::V6 => AddressFamily::Ip6,
        },
        port: resolved.endpoint.port,
    }
}

/// VPP writes the ports of a session in its host's byte order, which is little-endian: they look swapped.
fn session(info: &SessionInfo) -> CnatSession {
    CnatSession {
        tuple: Cnat5tuple {
            addr: [info.src, info.dst],
            port: [info.src_port.swap_bytes(), info.dst_port.swap_bytes()],
            ip_proto: IpProto::from(info.protocol),
        },
        ts_index: info.index,
        flags: info.flags,
    }
}
