//! Access lists on interfaces.

use super::acl_types::{AclRule, MacipAclRule};
use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module acl("2.0.1" 0x5133bba0) imports [
        "plugins/acl/acl_types.api",
        "vnet/ethernet/ethernet_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Asks for the version of the plugin.
    request AclPluginGetVersion("acl_plugin_get_version" 0x51077d14 => AclPluginGetVersionReply) {}

    /// Answers [`AclPluginGetVersion`].
    answer AclPluginGetVersionReply("acl_plugin_get_version_reply" 0x9b32cf86) {
        major: u32,
        minor: u32,
    }

    /// Asks whether the plugin's side of the API is alive.
    request AclPluginControlPing("acl_plugin_control_ping" 0x51077d14 => AclPluginControlPingReply) {}

    /// Answers [`AclPluginControlPing`].
    reply AclPluginControlPingReply(
        "acl_plugin_control_ping_reply" 0xf6b0b8ca
    ) { retval: Retval, client_index: u32, vpe_pid: u32 }

    /// Asks how many flows can be reflected at once.
    request AclPluginGetConnTableMaxEntries(
        "acl_plugin_get_conn_table_max_entries" 0x51077d14 => AclPluginGetConnTableMaxEntriesReply
    ) {}

    /// Answers [`AclPluginGetConnTableMaxEntries`].
    answer AclPluginGetConnTableMaxEntriesReply(
        "acl_plugin_get_conn_table_max_entries_reply" 0x7a096d3d
    ) { conn_table_max_entries: u64 }

    /// Creates an ACL (index `!0`) or replaces the rules of one.
    request AclAddReplace("acl_add_replace" 0xee5c2f18 => AclAddReplaceReply) {
        acl_index: u32,
        tag: FixedString<64>,
        count: u32 = len(r),
        r: [AclRule; count],
    }

    /// Answers [`AclAddReplace`].
    reply AclAddReplaceReply("acl_add_replace_reply" 0xac407b0c) { acl_index: u32, retval: Retval }

    /// Deletes an ACL no one uses.
    request AclDel("acl_del" 0xef34fea4 => ack) { acl_index: u32 }

    /// Adds or removes one ACL of an interface.
    request AclInterfaceAddDel("acl_interface_add_del" 0x4b54bebd => ack) {
        is_add: bool = true,
        is_input: bool,
        sw_if_index: InterfaceIndex,
        acl_index: u32,
    }

    /// Sets all ACLs of an interface: `n_input` for input, the others for output.
    request AclInterfaceSetAclList("acl_interface_set_acl_list" 0x473982bd => ack) {
        sw_if_index: InterfaceIndex,
        count: u8 = len(acls),
        n_input: u8,
        acls: [u32; count],
    }

    /// Lists ACLs with their rules.
    dump AclDump("acl_dump" 0xef34fea4 => AclDetails) { acl_index: u32 }

    /// One entry of [`AclDump`].
    details AclDetails("acl_details" 0x95babae0) {
        acl_index: u32,
        tag: FixedString<64>,
        count: u32 = len(r),
        r: [AclRule; count],
    }

    /// Lists the ACLs of interfaces.
    dump AclInterfaceListDump("acl_interface_list_dump" 0xf9e6675e => AclInterfaceListDetails) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// One entry of [`AclInterfaceListDump`].
    details AclInterfaceListDetails("acl_interface_list_details" 0xe695d256) {
        sw_if_index: InterfaceIndex,
        count: u8 = len(acls),
        n_input: u8,
        acls: [u32; count],
    }

    /// Turns per-rule counters on or off.
    request AclStatsIntfCountersEnable("acl_stats_intf_counters_enable" 0xb3e225d2 => ack) {
        enable: bool,
    }

    /// Creates an access list on source MAC and IP address.
    request MacipAclAdd("macip_acl_add" 0xce6fbad0 => MacipAclAddReply) {
        tag: FixedString<64>,
        count: u32 = len(r),
        r: [MacipAclRule; count],
    }

    /// Answers [`MacipAclAdd`].
    reply MacipAclAddReply("macip_acl_add_reply" 0xac407b0c) { acl_index: u32, retval: Retval }

    /// Creates such a list (index `!0`) or replaces the rules of one.
    request MacipAclAddReplace("macip_acl_add_replace" 0x2a461dd4 => MacipAclAddReplaceReply) {
        acl_index: u32 = u32::MAX,
        tag: FixedString<64>,
        count: u32 = len(r),
        r: [MacipAclRule; count],
    }

    /// Answers [`MacipAclAddReplace`].
    reply MacipAclAddReplaceReply(
        "macip_acl_add_replace_reply" 0xac407b0c
    ) { acl_index: u32, retval: Retval }

    /// Deletes such a list and takes it off its interfaces.
    request MacipAclDel("macip_acl_del" 0xef34fea4 => ack) { acl_index: u32 }

    /// Applies such a list to an interface, or takes off whichever it has.
    request MacipAclInterfaceAddDel("macip_acl_interface_add_del" 0x4b8690b1 => ack) {
        is_add: bool = true,
        sw_if_index: InterfaceIndex,
        acl_index: u32,
    }

    /// Lists such lists with their rules.
    dump MacipAclDump("macip_acl_dump" 0xef34fea4 => MacipAclDetails) { acl_index: u32 = u32::MAX }

    /// One entry of [`MacipAclDump`].
    details MacipAclDetails("macip_acl_details" 0x27135b59) {
        acl_index: u32,
        tag: FixedString<64>,
        count: u32 = len(r),
        r: [MacipAclRule; count],
    }

    /// Asks for the list of each interface.
    request MacipAclInterfaceGet("macip_acl_interface_get" 0x51077d14 => MacipAclInterfaceGetReply) {}

    /// Answers [`MacipAclInterfaceGet`]: by interface index, `!0` for those without.
    answer MacipAclInterfaceGetReply("macip_acl_interface_get_reply" 0xaccf9b05) {
        count: u32 = len(acls),
        acls: [u32; count],
    }

    /// Lists the interfaces that have such a list.
    dump MacipAclInterfaceListDump(
        "macip_acl_interface_list_dump" 0xf9e6675e => MacipAclInterfaceListDetails
    ) { sw_if_index: InterfaceIndex }

    /// One entry of [`MacipAclInterfaceListDump`].
    details MacipAclInterfaceListDetails("macip_acl_interface_list_details" 0xa0c5d56d) {
        sw_if_index: InterfaceIndex,
        count: u8 = len(acls),
        acls: [u32; count],
    }
}
