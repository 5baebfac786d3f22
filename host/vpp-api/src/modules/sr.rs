//! Segment routing over IPv6: local SIDs, policies, steering.
//!
//! Return values are this module's own and share numbers with VPP's general errors.

use std::net::{IpAddr, Ipv6Addr};

use super::interface_types::InterfaceIndex;
use super::ip_types::Prefix;
use super::sr_types::{SrBehavior, SrPolicyOp, SrSteer};
use crate::dsl::api;

api! {
    module sr("2.1.0" 0x23e3f650) imports [
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
        "vnet/srv6/sr_types.api",
    ];

    /// How a policy uses its segment lists.
    enum SrPolicyType("sr_policy_type" u8) {
        Default = 0 "SR_API_POLICY_TYPE_DEFAULT",
        Spray = 1 "SR_API_POLICY_TYPE_SPRAY",
        Tef = 2 "SR_API_POLICY_TYPE_TEF",
    }

    /// A path: the first `num_sids` of `sids`.
    #[derive(Copy, Eq, Hash)]
    struct Srv6SidList("srv6_sid_list") { num_sids: u8, weight: u32, sids: [Ipv6Addr; 16] }

    /// A path with the number by which it is changed.
    #[derive(Copy, Eq, Hash)]
    struct Srv6SidListWithSlIndex("srv6_sid_list_with_sl_index") {
        num_sids: u8,
        weight: u32,
        sl_index: u32,
        sids: [Ipv6Addr; 16],
    }

    /// Adds or removes a local SID; micro-SIDs have a 32-bit block and 16-bit SIDs. `sw_if_index` holds the table
    /// of behaviours that look up.
    request SrLocalsidAddDel("sr_localsid_add_del" 0x5a36c324 => ack) {
        is_del: bool = false,
        localsid: Ipv6Addr,
        end_psp: bool,
        behavior: SrBehavior,
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
        vlan_index: u32,
        fib_table: u32,
        nh_addr: IpAddr,
    }

    /// As [`SrLocalsidAddDel`], with the lengths of a SID's parts in bits.
    request SrLocalsidAddDelV2("sr_localsid_add_del_v2" 0x8da7805a => ack) {
        is_del: bool = false,
        localsid: Ipv6Addr,
        end_psp: bool,
        behavior: SrBehavior,
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
        vlan_index: u32,
        fib_table: u32,
        nh_addr: IpAddr,
        locator_block_len: u8,
        locator_node_len: u8,
        function_len: u8,
    }

    /// Adds a policy with its first segment list; the outer `weight` does not count.
    request SrPolicyAdd("sr_policy_add" 0x44ac92e8 => ack) {
        bsid_addr: Ipv6Addr,
        weight: u32,
        is_encap: bool,
        is_spray: bool,
        fib_table: u32,
        sids: Srv6SidList,
    }

    /// Adds, removes or reweighs a segment list of a policy.
    request SrPolicyMod("sr_policy_mod" 0xb97bb56e => ack) {
        bsid_addr: Ipv6Addr,
        sr_policy_index: u32,
        fib_table: u32,
        operation: SrPolicyOp,
        sl_index: u32,
        weight: u32,
        sids: Srv6SidList,
    }

    /// As [`SrPolicyAdd`], with the source of encapsulated packets.
    request SrPolicyAddV2("sr_policy_add_v2" 0xf6297f36 => ack) {
        bsid_addr: Ipv6Addr,
        weight: u32,
        is_encap: bool,
        r#type: SrPolicyType = SrPolicyType::Default,
        fib_table: u32,
        sids: Srv6SidList,
        encap_src: Ipv6Addr,
    }

    /// As [`SrPolicyMod`], with the source of encapsulated packets.
    request SrPolicyModV2("sr_policy_mod_v2" 0xc0544823 => ack) {
        bsid_addr: Ipv6Addr,
        sr_policy_index: u32,
        fib_table: u32,
        operation: SrPolicyOp,
        sl_index: u32,
        weight: u32,
        sids: Srv6SidList,
        encap_src: Ipv6Addr,
    }

    /// Removes a policy.
    request SrPolicyDel("sr_policy_del" 0xcb4d48d5 => ack) {
        bsid_addr: Ipv6Addr,
        sr_policy_index: u32,
    }

    /// Sets the source of encapsulated packets of segment lists to come.
    request SrSetEncapSource("sr_set_encap_source" 0xd3bad5e1 => ack) { encaps_source: Ipv6Addr }

    /// Sets the hop limit of encapsulated packets of segment lists to come.
    request SrSetEncapHopLimit("sr_set_encap_hop_limit" 0xaa75d7d0 => ack) { hop_limit: u8 }

    /// Leads traffic into a policy, or no more.
    request SrSteeringAddDel("sr_steering_add_del" 0xe46b0a0f => ack) {
        is_del: bool = false,
        bsid_addr: Ipv6Addr,
        sr_policy_index: u32,
        table_id: u32,
        prefix: Prefix,
        sw_if_index: InterfaceIndex,
        traffic_type: SrSteer,
    }

    /// Lists local SIDs.
    dump SrLocalsidsDump("sr_localsids_dump" 0x51077d14 => SrLocalsidsDetails) {}

    /// One entry of [`SrLocalsidsDump`].
    details SrLocalsidsDetails("sr_localsids_details" 0x2e9221b9) {
        addr: Ipv6Addr,
        end_psp: bool,
        behavior: SrBehavior,
        fib_table: u32,
        vlan_index: u32,
        xconnect_nh_addr: IpAddr,
        xconnect_iface_or_vrf_table: u32,
    }

    /// Lists local SIDs with their counters.
    dump SrLocalsidsWithPacketStatsDump(
        "sr_localsids_with_packet_stats_dump" 0x51077d14
        => SrLocalsidsWithPacketStatsDetails
    ) {}

    /// One entry of [`SrLocalsidsWithPacketStatsDump`].
    details SrLocalsidsWithPacketStatsDetails(
        "sr_localsids_with_packet_stats_details" 0xce0b1ce0
    ) {
        addr: Ipv6Addr,
        end_psp: bool,
        behavior: SrBehavior,
        fib_table: u32,
        vlan_index: u32,
        xconnect_nh_addr: IpAddr,
        xconnect_iface_or_vrf_table: u32,
        good_traffic_bytes: u64,
        good_traffic_pkt_count: u64,
        bad_traffic_bytes: u64,
        bad_traffic_pkt_count: u64,
    }

    /// Lists policies.
    dump SrPoliciesDump("sr_policies_dump" 0x51077d14 => SrPoliciesDetails) {}

    /// One entry of [`SrPoliciesDump`].
    details SrPoliciesDetails("sr_policies_details" 0xdb6ff2a1) {
        bsid: Ipv6Addr,
        is_spray: bool,
        is_encap: bool,
        fib_table: u32,
        num_sid_lists: u8 = len(sid_lists),
        sid_lists: [Srv6SidList; num_sid_lists],
    }

    /// Lists policies with their source of encapsulated packets.
    dump SrPoliciesV2Dump("sr_policies_v2_dump" 0x51077d14 => SrPoliciesV2Details) {}

    /// One entry of [`SrPoliciesV2Dump`].
    details SrPoliciesV2Details("sr_policies_v2_details" 0x96dcb699) {
        bsid: Ipv6Addr,
        encap_src: Ipv6Addr,
        r#type: SrPolicyType,
        is_encap: bool,
        fib_table: u32,
        num_sid_lists: u8 = len(sid_lists),
        sid_lists: [Srv6SidList; num_sid_lists],
    }

    /// Lists policies with the numbers of their segment lists.
    dump SrPoliciesWithSlIndexDump(
        "sr_policies_with_sl_index_dump" 0x51077d14
        => SrPoliciesWithSlIndexDetails
    ) {}

    /// One entry of [`SrPoliciesWithSlIndexDump`].
    details SrPoliciesWithSlIndexDetails("sr_policies_with_sl_index_details" 0xca2e9bc8) {
        bsid: Ipv6Addr,
        is_spray: bool,
        is_encap: bool,
        fib_table: u32,
        num_sid_lists: u8 = len(sid_lists),
        sid_lists: [Srv6SidListWithSlIndex; num_sid_lists],
    }

    /// Lists steering rules.
    dump SrSteeringPolDump("sr_steering_pol_dump" 0x51077d14 => SrSteeringPolDetails) {}

    /// One entry of [`SrSteeringPolDump`].
    details SrSteeringPolDetails("sr_steering_pol_details" 0xd41258c9) {
        traffic_type: SrSteer,
        fib_table: u32,
        prefix: Prefix,
        sw_if_index: InterfaceIndex,
        bsid: Ipv6Addr,
    }
}
