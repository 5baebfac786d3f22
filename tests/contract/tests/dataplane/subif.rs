//! VLAN sub-interfaces and tag rewriting.

use vpp_api::ApiError;
use vpp_api::interface::{
    CreateSubif, CreateVlanSubif, DeleteLoopback, DeleteSubif, SwInterfaceSetFlags,
};
use vpp_api::interface_types::{IfStatusFlags, IfType, InterfaceIndex, SubIfFlags};
use vpp_api::l2::L2InterfaceVlanTagRewrite;

use crate::target::Target;

#[tokio::test]
async fn a_vlan_subinterface_is_known_by_its_parent_and_id() {
    for target in Target::all().await {
        let sw_if_index = target.loopback().await;
        let create = CreateVlanSubif {
            sw_if_index,
            vlan_id: 10,
        };
        let sub = target.api.request(&create).await.unwrap().sw_if_index;
        target
            .refuses(&create, &[ApiError::VlanAlreadyExists])
            .await;
        for vlan_id in [0, 4096] {
            let bad = CreateVlanSubif {
                sw_if_index,
                vlan_id,
            };
            target.refuses(&bad, &[ApiError::InvalidVlan]).await;
        }
        let parent = target.interface(sw_if_index).await;
        let dumped = target.interface(sub).await;
        assert_eq!(
            dumped.interface_name.as_str(),
            format!("{}.10", parent.interface_name.as_str())
        );
        assert_eq!(dumped.r#type, IfType::Sub);
        assert_eq!(dumped.sup_sw_if_index, sw_if_index.0);
        assert_eq!(
            (
                dumped.sub_id,
                dumped.sub_number_of_tags,
                dumped.sub_outer_vlan_id,
                dumped.sub_inner_vlan_id
            ),
            (10, 1, 10, 0)
        );
        assert_eq!(
            dumped.sub_if_flags,
            SubIfFlags::ONE_TAG | SubIfFlags::EXACT_MATCH
        );
        assert_eq!(dumped.l2_address.0, [0; 6], "the parent's alone");
        target.ok(&DeleteSubif { sw_if_index: sub }).await;
        target
            .refuses(
                &DeleteSubif { sw_if_index: sub },
                &[ApiError::InvalidSwIfIndex],
            )
            .await;
        target
            .refuses(
                &DeleteSubif { sw_if_index },
                &[ApiError::InvalidSubSwIfIndex],
            )
            .await;
        target.ok(&DeleteLoopback { sw_if_index }).await;
    }
}

#[tokio::test]
async fn a_subinterface_goes_up_only_when_its_parent_is() {
    for target in Target::all().await {
        let parent = target.loopback().await;
        let create = CreateVlanSubif {
            sw_if_index: parent,
            vlan_id: 11,
        };
        let sub = target.api.request(&create).await.unwrap().sw_if_index;
        let up = |sw_if_index: InterfaceIndex| SwInterfaceSetFlags {
            sw_if_index,
            flags: IfStatusFlags::ADMIN_UP,
        };
        assert!(target.api.request(&up(sub)).await.is_err());
        target.ok(&up(parent)).await;
        target.ok(&up(sub)).await;
        let dumped = target.interface(sub).await;
        assert!(dumped.flags.contains(IfStatusFlags::ADMIN_UP));
        target.ok(&DeleteSubif { sw_if_index: sub }).await;
        target
            .ok(&DeleteLoopback {
                sw_if_index: parent,
            })
            .await;
    }
}

#[tokio::test]
async fn two_tags_are_matched_exactly_or_with_any_inner_one() {
    for target in Target::all().await {
        let parent = target.loopback().await;
        let exact = CreateSubif {
            sw_if_index: parent,
            sub_id: 100,
            sub_if_flags: SubIfFlags::TWO_TAGS | SubIfFlags::EXACT_MATCH | SubIfFlags::DOT1AD,
            outer_vlan_id: 5,
            inner_vlan_id: 7,
        };
        let sub = target.api.request(&exact).await.unwrap().sw_if_index;
        let dumped = target.interface(sub).await;
        assert_eq!(
            (
                dumped.sub_number_of_tags,
                dumped.sub_outer_vlan_id,
                dumped.sub_inner_vlan_id,
                dumped.sub_if_flags
            ),
            (2, 5, 7, exact.sub_if_flags)
        );
        target.refuses(&exact, &[ApiError::VlanAlreadyExists]).await;
        let any = CreateSubif {
            sub_id: 101,
            sub_if_flags: SubIfFlags::TWO_TAGS | SubIfFlags::INNER_VLAN_ID_ANY,
            inner_vlan_id: 0,
            ..exact.clone()
        };
        let second = target.api.request(&any).await.unwrap().sw_if_index;
        let impossible = CreateSubif {
            sub_id: 102,
            sub_if_flags: any.sub_if_flags | SubIfFlags::EXACT_MATCH,
            ..any
        };
        target.refuses(&impossible, &[ApiError::Unspecified]).await;
        for sw_if_index in [sub, second] {
            target.ok(&DeleteSubif { sw_if_index }).await;
        }
        target
            .ok(&DeleteLoopback {
                sw_if_index: parent,
            })
            .await;
    }
}

#[tokio::test]
async fn a_tag_rewrite_is_dumped_and_pops_only_tags_that_are_there() {
    for target in Target::all().await {
        let parent = target.loopback().await;
        let create = CreateVlanSubif {
            sw_if_index: parent,
            vlan_id: 12,
        };
        let sub = target.api.request(&create).await.unwrap().sw_if_index;
        let rewrite = L2InterfaceVlanTagRewrite {
            sw_if_index: sub,
            // Translate one tag to two.
            vtr_op: 6,
            push_dot1q: 1,
            tag1: 44,
            tag2: 55,
        };
        target.ok(&rewrite).await;
        let dumped = target.interface(sub).await;
        assert_eq!(
            (
                dumped.vtr_op,
                dumped.vtr_push_dot1q,
                dumped.vtr_tag1,
                dumped.vtr_tag2
            ),
            (6, 1, 44, 55)
        );
        let pop2 = L2InterfaceVlanTagRewrite {
            vtr_op: 4,
            ..rewrite.clone()
        };
        target
            .refuses(&pop2, &[ApiError::InvalidVlanTagCount])
            .await;
        let unknown = L2InterfaceVlanTagRewrite {
            vtr_op: 9,
            ..rewrite.clone()
        };
        target.refuses(&unknown, &[ApiError::InvalidValue]).await;
        let off = L2InterfaceVlanTagRewrite {
            vtr_op: 0,
            ..rewrite
        };
        target.ok(&off).await;
        assert_eq!(target.interface(sub).await.vtr_op, 0);
        target.ok(&DeleteSubif { sw_if_index: sub }).await;
        target
            .ok(&DeleteLoopback {
                sw_if_index: parent,
            })
            .await;
    }
}
