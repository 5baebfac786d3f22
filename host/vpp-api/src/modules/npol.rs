//! Network policies. VPP has no way to read them back.

use super::ip_types::Prefix;
use crate::dsl::api;
use crate::retval::Retval;

use std::net::IpAddr;

api! {
    module npol("0.1.0" 0x4d281077) imports [
        "vnet/fib/fib_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// What the members of a set are.
    enum NpolIpsetType("npol_ipset_type" u8) {
        Ip = 0 "NPOL_IP",
        IpAndPort = 1 "NPOL_IP_AND_PORT",
        Net = 2 "NPOL_NET",
    }

    /// An address with a protocol and a port.
    #[derive(Copy, Eq, Hash)]
    struct NpolThreeTuple("npol_three_tuple") { address: IpAddr, l4_proto: u8, port: u16 }

    /// A member of a set; the type of the set says which.
    #[derive(Hash)]
    union NpolIpsetMemberVal("npol_ipset_member_val" 20) {
        address: IpAddr,
        prefix: Prefix,
        tuple: NpolThreeTuple,
    }

    /// A member of a set.
    #[derive(Copy, Eq, Hash)]
    struct NpolIpsetMember("npol_ipset_member") { val: NpolIpsetMemberVal }

    /// What a rule says.
    enum NpolRuleAction("npol_rule_action" u8) {
        Allow = 0 "NPOL_ALLOW",
        Deny = 1 "NPOL_DENY",
        Log = 2 "NPOL_LOG",
        Pass = 3 "NPOL_PASS",
    }

    /// What an entry of a rule compares.
    enum NpolEntryType("npol_entry_type" u8) {
        Cidr = 0 "NPOL_CIDR",
        PortRange = 1 "NPOL_PORT_RANGE",
        PortIpSet = 2 "NPOL_PORT_IP_SET",
        IpSet = 3 "NPOL_IP_SET",
    }

    /// What happens when nothing matched.
    enum NpolPolicyDefault("npol_policy_default" u8) {
        Allow = 0 "NPOL_DEFAULT_ALLOW",
        Deny = 1 "NPOL_DEFAULT_DENY",
        Pass = 2 "NPOL_DEFAULT_PASS",
    }

    /// An inclusive range of ports.
    #[derive(Copy, Eq, Hash)]
    struct NpolPortRange("npol_port_range") { start: u16, end: u16 }

    /// A set that an entry names.
    #[derive(Copy, Eq, Hash)]
    struct NpolEntrySetId("npol_entry_set_id") { set_id: u32 }

    /// What an entry compares with; its type says which.
    #[derive(Hash)]
    union NpolEntryData("npol_entry_data" 18) {
        cidr: Prefix,
        port_range: NpolPortRange,
        set_id: NpolEntrySetId,
    }

    /// A criterion for one end of a packet.
    #[derive(Copy, Eq, Hash)]
    struct NpolRuleEntry("npol_rule_entry") {
        is_src: bool,
        is_not: bool,
        r#type: NpolEntryType,
        data: NpolEntryData,
    }

    /// What a filter of a rule looks at.
    enum NpolRuleFilterType("npol_rule_filter_type" u8) {
        None = 0 "NPOL_RULE_FILTER_NONE_TYPE",
        IcmpType = 1 "NPOL_RULE_FILTER_ICMP_TYPE",
        IcmpCode = 2 "NPOL_RULE_FILTER_ICMP_CODE",
        L4Proto = 3 "NPOL_RULE_FILTER_L4_PROTO",
    }

    /// A condition on the protocol of a packet.
    #[derive(Copy, Eq, Hash)]
    struct NpolRuleFilter("npol_rule_filter") {
        value: u32,
        r#type: NpolRuleFilterType,
        should_match: u8,
    }

    /// A rule.
    #[derive(Eq, Hash)]
    struct NpolRule("npol_rule") {
        action: NpolRuleAction,
        filters: [NpolRuleFilter; 3],
        num_entries: u32 = len(matches),
        matches: [NpolRuleEntry; num_entries],
    }

    /// A rule of a policy, for one direction.
    #[derive(Copy, Eq, Hash)]
    struct NpolPolicyItem("npol_policy_item") { is_inbound: bool, rule_id: u32 }

    /// Asks for the version of the plugin.
    request NpolGetVersion("npol_get_version" 0x51077d14 => NpolGetVersionReply) {}

    /// Answers [`NpolGetVersion`].
    answer NpolGetVersionReply("npol_get_version_reply" 0x9b32cf86) { major: u32, minor: u32 }

    /// Creates an empty set.
    request NpolIpsetCreate("npol_ipset_create" 0xf948b404 => NpolIpsetCreateReply) {
        r#type: NpolIpsetType,
    }

    /// Answers [`NpolIpsetCreate`].
    reply NpolIpsetCreateReply("npol_ipset_create_reply" 0x6a43f193) { retval: Retval, set_id: u32 }

    /// Adds members to a set or removes them.
    request NpolIpsetAddDelMembers("npol_ipset_add_del_members" 0x8ad1b2ed => ack) {
        set_id: u32,
        is_add: bool,
        len: u32 = len(members),
        members: [NpolIpsetMember; len],
    }

    /// Deletes a set.
    request NpolIpsetDelete("npol_ipset_delete" 0xceacdbcb => ack) { set_id: u32 }

    /// Creates a rule.
    request NpolRuleCreate("npol_rule_create" 0xf113de45 => NpolRuleCreateReply) { rule: NpolRule }

    /// Answers [`NpolRuleCreate`].
    reply NpolRuleCreateReply("npol_rule_create_reply" 0xb48f8052) { retval: Retval, rule_id: u32 }

    /// Replaces a rule.
    request NpolRuleUpdate("npol_rule_update" 0xe38bffe2 => ack) { rule_id: u32, rule: NpolRule }

    /// Deletes a rule.
    request NpolRuleDelete("npol_rule_delete" 0xd19bb6be => ack) { rule_id: u32 }

    /// Creates a policy.
    request NpolPolicyCreate("npol_policy_create" 0x3441bb97 => NpolPolicyCreateReply) {
        num_items: u32 = len(rules),
        rules: [NpolPolicyItem; num_items],
    }

    /// Answers [`NpolPolicyCreate`].
    reply NpolPolicyCreateReply("npol_policy_create_reply" 0x90f27405) {
        retval: Retval,
        policy_id: u32,
    }

    /// Replaces a policy.
    request NpolPolicyUpdate("npol_policy_update" 0x21a5f7ef => ack) {
        policy_id: u32,
        num_items: u32 = len(rules),
        rules: [NpolPolicyItem; num_items],
    }

    /// Deletes a policy.
    request NpolPolicyDelete("npol_policy_delete" 0xad833868 => ack) { policy_id: u32 }

    /// Replaces all policies of an interface: receive policies, then transmit policies, then profiles.
    request NpolConfigurePolicies("npol_configure_policies" 0x66fe1335 => ack) {
        sw_if_index: u32,
        num_rx_policies: u32,
        num_tx_policies: u32,
        total_ids: u32 = len(policy_ids),
        invert_rx_tx: u8,
        policy_default_rx: NpolPolicyDefault,
        policy_default_tx: NpolPolicyDefault,
        profile_default_rx: NpolPolicyDefault,
        profile_default_tx: NpolPolicyDefault,
        policy_ids: [u32; total_ids],
    }
}
