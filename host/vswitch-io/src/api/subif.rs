//! Module `interface`: VLAN sub-interfaces, and their tag rewriting of module `l2`.

use vpp_api::interface::{
    CreateSubif, CreateSubifReply, CreateVlanSubif, CreateVlanSubifReply, DeleteSubif,
    SwInterfaceDetails,
};
use vpp_api::interface_types::{IfType, SubIfFlags};
use vpp_api::l2::L2InterfaceVlanTagRewrite;
use vpp_api::{ApiError, ethernet_types};
use vswitch::interface::{InterfaceInfo, InterfaceKind};
use vswitch::vlan::{RewriteOp, RewriteSpec, SubSpec};

use super::Api;
use super::convert::{Coded, index, sw};

pub(super) fn register(api: &mut Api) {
    api.on::<CreateVlanSubif, _>(|engine, request| {
        let sub = engine
            .dataplane
            .create_vlan_subif(sw(request.sw_if_index), request.vlan_id)
            .coded()?;
        Ok(CreateVlanSubifReply {
            sw_if_index: index(sub),
            ..Default::default()
        })
    })
    .on::<CreateSubif, _>(|engine, request| {
        let sub = engine
            .dataplane
            .create_subif(sw(request.sw_if_index), spec(&request))
            .coded()?;
        Ok(CreateSubifReply {
            sw_if_index: index(sub),
            ..Default::default()
        })
    })
    .on::<DeleteSubif, _>(|engine, request| {
        engine
            .dataplane
            .delete_subif(sw(request.sw_if_index))
            .coded()
    })
    .on::<L2InterfaceVlanTagRewrite, _>(|engine, request| {
        let on = sw(request.sw_if_index);
        engine.dataplane.interface(on).map(drop).coded()?;
        let spec = RewriteSpec {
            op: RewriteOp::new(request.vtr_op).ok_or(ApiError::InvalidValue)?,
            push_dot1q: request.push_dot1q != 0,
            tag1: tci(request.tag1),
            tag2: tci(request.tag2),
        };
        engine.dataplane.vlan_tag_rewrite(on, spec).coded()
    });
}

fn spec(request: &CreateSubif) -> SubSpec {
    let has = |flag| request.sub_if_flags.contains(flag);
    SubSpec {
        id: request.sub_id,
        no_tags: has(SubIfFlags::NO_TAGS),
        one_tag: has(SubIfFlags::ONE_TAG),
        two_tags: has(SubIfFlags::TWO_TAGS),
        dot1ad: has(SubIfFlags::DOT1AD),
        exact_match: has(SubIfFlags::EXACT_MATCH),
        default: has(SubIfFlags::DEFAULT),
        outer_any: has(SubIfFlags::OUTER_VLAN_ID_ANY),
        inner_any: has(SubIfFlags::INNER_VLAN_ID_ANY),
        outer: request.outer_vlan_id,
        inner: request.inner_vlan_id,
    }
}

fn flags(spec: &SubSpec) -> SubIfFlags {
    let all = [
        (spec.no_tags, SubIfFlags::NO_TAGS),
        (spec.one_tag, SubIfFlags::ONE_TAG),
        (spec.two_tags, SubIfFlags::TWO_TAGS),
        (spec.dot1ad, SubIfFlags::DOT1AD),
        (spec.exact_match, SubIfFlags::EXACT_MATCH),
        (spec.default, SubIfFlags::DEFAULT),
        (spec.outer_any, SubIfFlags::OUTER_VLAN_ID_ANY),
        (spec.inner_any, SubIfFlags::INNER_VLAN_ID_ANY),
    ];
    all.into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(SubIfFlags::EMPTY, |sum, (_, flag)| sum | flag)
}

/// Fills in what a dump says of a sub-interface; like VPP it shows no MAC of its own.
pub(super) fn with_sub(details: SwInterfaceDetails, info: &InterfaceInfo) -> SwInterfaceDetails {
    let (InterfaceKind::Sub { parent }, Some(sub)) = (info.kind, info.sub) else {
        return details;
    };
    SwInterfaceDetails {
        sup_sw_if_index: parent.0,
        l2_address: ethernet_types::MacAddress::default(),
        r#type: IfType::Sub,
        sub_id: sub.id,
        sub_number_of_tags: sub.tag_count(),
        sub_outer_vlan_id: sub.outer,
        sub_inner_vlan_id: sub.inner,
        sub_if_flags: flags(&sub),
        ..details
    }
}

/// VPP keeps the low half of the field.
fn tci(tag: u32) -> u16 {
    u16::try_from(tag & 0xffff).unwrap_or(0)
}
