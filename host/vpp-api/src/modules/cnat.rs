//! Cloud NAT: virtual addresses with back-ends, and source NAT by policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::interface_types::InterfaceIndex;
use super::ip::IpFlowHashConfigV2;
use super::ip_types::{AddressFamily, IpProto, Prefix};
use crate::dsl::api;
use crate::retval::Retval;

api! {
    module cnat("1.0.0" 0xc121e90a) imports [
        "vnet/ethernet/ethernet_types.api",
        "vnet/fib/fib_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip.api",
        "vnet/ip/ip_types.api",
        "vnet/mfib/mfib_types.api",
    ];

    /// Behaviour of a translation.
    bits CnatTranslationFlags("cnat_translation_flags" u8) {
        ALLOC_PORT = 1 "CNAT_TRANSLATION_ALLOC_PORT",
        NO_RETURN_SESSION = 4 "CNAT_TRANSLATION_NO_RETURN_SESSION",
        NO_CLIENT = 8 "CNAT_TRANSLATION_NO_CLIENT",
    }

    /// Behaviour of a path. `NO_NAT` was 1 up to VPP 26.02, with the same checksum.
    bits CnatEndpointTupleFlags("cnat_endpoint_tuple_flags" u8) {
        NO_NAT = 2 "CNAT_EPT_NO_NAT",
    }

    /// How a back-end is chosen.
    enum CnatLbType("cnat_lb_type" u8) {
        Default = 0 "CNAT_LB_TYPE_DEFAULT",
        Maglev = 1 "CNAT_LB_TYPE_MAGLEV",
    }

    /// Behaviour of source NAT in a table.
    bits CnatSnatPolicyFlags("cnat_snat_policy_flags" u8) {
        NONE = 0 "CNAT_SNAT_POLICY_F_NONE",
        BUFFER_NEXT = 1 "CNAT_SNAT_POLICY_F_BUFFER_NEXT",
        NO_CLIENT = 2 "CNAT_SNAT_POLICY_F_NO_CLIENT",
        USE_AS_DEFAULT = 4 "CNAT_SNAT_POLICY_F_USE_AS_DEFAULT",
    }

    /// An address and a port; with an interface, its first address of a family.
    #[derive(Copy, Eq, Hash)]
    struct CnatEndpoint("cnat_endpoint") {
        addr: IpAddr,
        sw_if_index: InterfaceIndex,
        if_af: AddressFamily,
        port: u16,
    }

    /// A back-end and, optionally, the source its packets get.
    #[derive(Copy, Eq, Hash)]
    struct CnatEndpointTuple("cnat_endpoint_tuple") {
        dst_ep: CnatEndpoint,
        src_ep: CnatEndpoint,
        flags: u8,
    }

    /// One direction of a session: source first. VPP fills the ports in the byte order of its host.
    #[derive(Copy, Eq, Hash)]
    struct Cnat5tuple("cnat_5tuple") { addr: [IpAddr; 2], port: [u16; 2], ip_proto: IpProto }

    /// A virtual endpoint and its back-ends.
    #[derive(Eq, Hash)]
    struct CnatTranslation("cnat_translation") {
        vip: CnatEndpoint,
        id: u32,
        ip_proto: IpProto,
        is_real_ip: u8,
        flags: u8,
        lb_type: CnatLbType,
        n_paths: u32 = len(paths),
        flow_hash_config: IpFlowHashConfigV2,
        paths: [CnatEndpointTuple; n_paths],
    }

    /// Creates the translation of a virtual endpoint or replaces its paths.
    request CnatTranslationUpdate(
        "cnat_translation_update" 0xf8d40bc5
        => CnatTranslationUpdateReply
    ) {
        translation: CnatTranslation,
    }

    /// Answers [`CnatTranslationUpdate`].
    reply CnatTranslationUpdateReply("cnat_translation_update_reply" 0xe2fc8294) {
        retval: Retval,
        id: u32,
    }

    /// Deletes a translation.
    request CnatTranslationDel("cnat_translation_del" 0x3a91bde5 => ack) { id: u32 }

    /// One entry of [`CnatTranslationDump`].
    details CnatTranslationDetails("cnat_translation_details" 0x1a5140b7) {
        translation: CnatTranslation,
    }

    /// Lists translations.
    dump CnatTranslationDump("cnat_translation_dump" 0x51077d14 => CnatTranslationDetails) {}

    /// Deletes all sessions and all translations.
    request CnatSessionPurge("cnat_session_purge" 0x51077d14 => ack) {}

    /// One direction of a flow.
    #[derive(Copy, Eq, Hash)]
    struct CnatSession("cnat_session") { tuple: Cnat5tuple, ts_index: u32, flags: u32 }

    /// One entry of [`CnatSessionDump`].
    details CnatSessionDetails("cnat_session_details" 0x7a78bf3f) { session: CnatSession }

    /// Lists sessions, both directions of each flow.
    dump CnatSessionDump("cnat_session_dump" 0x51077d14 => CnatSessionDetails) {}

    /// Sets the addresses that sources get in table 0; nothing set ends source NAT.
    request CnatSetSnatAddresses("cnat_set_snat_addresses" 0xd997e96c => ack) {
        snat_ip4: Ipv4Addr,
        snat_ip6: Ipv6Addr,
        sw_if_index: InterfaceIndex,
    }

    /// Sets the addresses that sources get, by index of the table they come from.
    request CnatSetSnatAddressesV2("cnat_set_snat_addresses_v2" 0xc0125c26 => ack) {
        fwd_fib_index: u32,
        ret_fib_index: u32,
        snat_ip4: Ipv4Addr,
        snat_ip6: Ipv6Addr,
        sw_if_index: InterfaceIndex,
        flags: CnatSnatPolicyFlags,
    }

    /// Asks for the addresses of table 0.
    request CnatGetSnatAddresses(
        "cnat_get_snat_addresses" 0x51077d14
        => CnatGetSnatAddressesReply
    ) {}

    /// Answers [`CnatGetSnatAddresses`].
    reply CnatGetSnatAddressesReply("cnat_get_snat_addresses_reply" 0x879513c1) {
        retval: Retval,
        id: u32,
        snat_ip4: Ipv4Addr,
        snat_ip6: Ipv6Addr,
        sw_if_index: InterfaceIndex,
    }

    /// Lists the addresses of all tables.
    dump CnatSnatAddressesDump(
        "cnat_snat_addresses_dump" 0x51077d14
        => CnatSnatAddressesDetails
    ) {}

    /// One entry of [`CnatSnatAddressesDump`].
    details CnatSnatAddressesDetails("cnat_snat_addresses_details" 0x09ae6b38) {
        retval: Retval,
        fwd_table_id4: u32,
        fwd_table_id6: u32,
        ret_table_id4: u32,
        ret_table_id6: u32,
        snat_ip4: Ipv4Addr,
        snat_ip6: Ipv6Addr,
        sw_if_index: InterfaceIndex,
    }

    /// Excludes destinations from source NAT.
    request CnatSnatPolicyAddDelExcludePfx(
        "cnat_snat_policy_add_del_exclude_pfx" 0xe26dd79a
        => ack
    ) {
        is_add: u8,
        prefix: Prefix,
    }

    /// Sets of interfaces that the policies look at.
    enum CnatSnatPolicyTable("cnat_snat_policy_table" u8) {
        IncludeV4 = 0 "CNAT_POLICY_INCLUDE_V4",
        IncludeV6 = 1 "CNAT_POLICY_INCLUDE_V6",
        Pod = 2 "CNAT_POLICY_POD",
        Host = 3 "CNAT_POLICY_HOST",
    }

    /// Puts an interface into a set or takes it out.
    request CnatSnatPolicyAddDelIf("cnat_snat_policy_add_del_if" 0x4ebb8d02 => ack) {
        sw_if_index: InterfaceIndex,
        is_add: u8,
        table: CnatSnatPolicyTable,
    }

    /// Which packets get another source.
    enum CnatSnatPolicies("cnat_snat_policies" u8) {
        None = 0 "CNAT_POLICY_NONE",
        IfPfx = 1 "CNAT_POLICY_IF_PFX",
        K8s = 2 "CNAT_POLICY_K8S",
        Dnat = 3 "CNAT_POLICY_DNAT",
    }

    /// Chooses the policy of table 0.
    request CnatSetSnatPolicy("cnat_set_snat_policy" 0x37a3ce23 => ack) {
        policy: CnatSnatPolicies,
    }

    /// Translates the packets of an interface, or stops it.
    request FeatureCnatEnableDisable("feature_cnat_enable_disable" 0x5501adee => ack) {
        sw_if_index: InterfaceIndex,
        enable_disable: bool,
    }
}
