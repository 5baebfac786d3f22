//! Forwarding by access list.

use super::fib_types::FibPath;
use super::interface_types::InterfaceIndex;
use crate::dsl::api;

api! {
    module abf("1.0.0" 0xf2367b47) imports [
        "vnet/fib/fib_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Packets of an ACL and where they go.
    #[derive(Eq, Hash)]
    struct AbfPolicy("abf_policy") {
        policy_id: u32,
        acl_index: u32,
        n_paths: u8 = len(paths),
        paths: [FibPath; n_paths],
    }

    /// A policy on an interface.
    #[derive(Copy, Eq, Hash)]
    struct AbfItfAttach("abf_itf_attach") {
        policy_id: u32,
        sw_if_index: InterfaceIndex,
        priority: u32,
        is_ipv6: bool,
    }

    /// Asks for the version of the plugin.
    request AbfPluginGetVersion("abf_plugin_get_version" 0x51077d14 => AbfPluginGetVersionReply) {}

    /// Answers [`AbfPluginGetVersion`].
    answer AbfPluginGetVersionReply("abf_plugin_get_version_reply" 0x9b32cf86) {
        major: u32,
        minor: u32,
    }

    /// Adds paths to a policy, creating it, or removes them.
    request AbfPolicyAddDel("abf_policy_add_del" 0xc6131197 => ack) {
        is_add: bool,
        policy: AbfPolicy,
    }

    /// Lists policies.
    dump AbfPolicyDump("abf_policy_dump" 0x51077d14 => AbfPolicyDetails) {}

    /// One entry of [`AbfPolicyDump`].
    details AbfPolicyDetails("abf_policy_details" 0xb7487fa4) { policy: AbfPolicy }

    /// Attaches a policy to an interface or detaches it.
    request AbfItfAttachAddDel("abf_itf_attach_add_del" 0x25c8621b => ack) {
        is_add: bool,
        attach: AbfItfAttach,
    }

    /// Lists attachments.
    dump AbfItfAttachDump("abf_itf_attach_dump" 0x51077d14 => AbfItfAttachDetails) {}

    /// One entry of [`AbfItfAttachDump`].
    details AbfItfAttachDetails("abf_itf_attach_details" 0x7819523e) { attach: AbfItfAttach }
}
