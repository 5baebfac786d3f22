//! The `macip_` messages of module `acl`.

use vpp_api::acl::{
    MacipAclAdd, MacipAclAddReplace, MacipAclAddReplaceReply, MacipAclAddReply, MacipAclDel,
    MacipAclDetails, MacipAclDump, MacipAclInterfaceAddDel, MacipAclInterfaceGet,
    MacipAclInterfaceGetReply, MacipAclInterfaceListDetails, MacipAclInterfaceListDump,
};
use vpp_api::acl_types::{AclAction, MacipAclRule};
use vpp_api::{ApiError, FixedString};
use vswitch::acl;
use vswitch::macip::{MacipInfo, MacipRule};

use super::Api;
use super::convert::{Coded, filter, index, mac, mac_to_api, prefix, prefix_to_api, sw};
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    api.on::<MacipAclAdd, _>(|engine, request| {
        let acl_index = add_replace(engine, None, request.tag.as_str(), &request.r)?;
        Ok(MacipAclAddReply {
            acl_index,
            ..Default::default()
        })
    })
    .on::<MacipAclAddReplace, _>(|engine, request| {
        let old = Some(request.acl_index);
        let acl_index = add_replace(engine, old, request.tag.as_str(), &request.r)?;
        Ok(MacipAclAddReplaceReply {
            acl_index,
            ..Default::default()
        })
    })
    .on::<MacipAclDel, _>(|engine, request| {
        engine.dataplane.macip_acl_del(request.acl_index).coded()
    })
    .on::<MacipAclInterfaceAddDel, _>(|engine, request| {
        let (dataplane, on) = (&mut engine.dataplane, sw(request.sw_if_index));
        if request.is_add {
            dataplane
                .macip_acl_interface_add(on, request.acl_index)
                .coded()
        } else {
            dataplane.macip_acl_interface_del(on).coded()
        }
    })
    .on::<MacipAclInterfaceGet, _>(|engine, _| {
        let mut acls = Vec::new();
        for (on, list) in engine.dataplane.macip_acl_interfaces() {
            let at = usize::try_from(on.0).unwrap_or(0);
            acls.resize(acls.len().max(at + 1), u32::MAX);
            if let Some(slot) = acls.get_mut(at) {
                *slot = list;
            }
        }
        Ok(MacipAclInterfaceGetReply { acls })
    });
    register_dumps(api);
}

fn register_dumps(api: &mut Api) {
    api.on_dump::<MacipAclDump>(|engine, request| {
        let is_wanted =
            |list: &MacipInfo| request.acl_index == u32::MAX || request.acl_index == list.acl_index;
        let details = |list: MacipInfo| MacipAclDetails {
            acl_index: list.acl_index,
            tag: FixedString::truncated(&list.tag),
            r: list.rules.iter().map(rule_to_api).collect(),
        };
        let lists = engine.dataplane.macip_acls();
        lists.filter(is_wanted).map(details).collect()
    })
    .on_dump::<MacipAclInterfaceListDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let applied = engine.dataplane.macip_acl_interfaces();
        applied
            .filter(|(on, _)| only.is_none_or(|only| only == *on))
            .map(|(on, list)| MacipAclInterfaceListDetails {
                sw_if_index: index(on),
                acls: vec![list],
            })
            .collect()
    });
}

fn add_replace(
    engine: &mut Engine,
    old: Option<u32>,
    tag: &str,
    rules: &[MacipAclRule],
) -> Result<u32, ApiError> {
    let rules = rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    engine
        .dataplane
        .macip_acl_add_replace(old, tag, rules)
        .coded()
}

fn rule(rule: &MacipAclRule) -> Result<MacipRule, ApiError> {
    Ok(MacipRule {
        action: match rule.is_permit {
            AclAction::Deny => acl::AclAction::Deny,
            AclAction::Permit => acl::AclAction::Permit,
            AclAction::PermitReflect => acl::AclAction::PermitReflect,
            AclAction::Other(_) => return Err(ApiError::InvalidValue),
        },
        mac: mac(rule.src_mac),
        mac_mask: mac(rule.src_mac_mask),
        src: prefix(rule.src_prefix)?,
    })
}

fn rule_to_api(rule: &MacipRule) -> MacipAclRule {
    MacipAclRule {
        is_permit: match rule.action {
            acl::AclAction::Deny => AclAction::Deny,
            acl::AclAction::Permit => AclAction::Permit,
            acl::AclAction::PermitReflect => AclAction::PermitReflect,
        },
        src_mac: mac_to_api(rule.mac),
        src_mac_mask: mac_to_api(rule.mac_mask),
        src_prefix: prefix_to_api(rule.src),
    }
}
