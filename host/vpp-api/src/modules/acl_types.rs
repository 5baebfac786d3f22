//! Rules of access lists.

use super::ethernet_types::MacAddress;
use super::ip_types::{IpProto, Prefix};
use crate::dsl::api;

api! {
    module acl_types("1.0.0" 0x878da4fa) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// What a rule does.
    enum AclAction("acl_action" u8) {
        Deny = 0 "ACL_ACTION_API_DENY",
        Permit = 1 "ACL_ACTION_API_PERMIT",
        PermitReflect = 2 "ACL_ACTION_API_PERMIT_REFLECT",
    }

    /// One rule; the first that matches decides.
    #[derive(Copy, Eq, Hash)]
    struct AclRule("acl_rule") {
        is_permit: AclAction,
        src_prefix: Prefix,
        dst_prefix: Prefix,
        proto: IpProto,
        srcport_or_icmptype_first: u16,
        srcport_or_icmptype_last: u16,
        dstport_or_icmpcode_first: u16,
        dstport_or_icmpcode_last: u16,
        tcp_flags_mask: u8,
        tcp_flags_value: u8,
    }

    /// One rule on source addresses.
    struct MacipAclRule("macip_acl_rule") {
        is_permit: AclAction,
        src_mac: MacAddress,
        src_mac_mask: MacAddress,
        src_prefix: Prefix,
    }
}
