//! Registration, liveness and self-description.

use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module memclnt("2.1.0" 0xb197c551) imports [];

    /// Version of one module.
    #[derive(Eq, Hash)]
    struct ModuleVersion("module_version") {
        major: u32,
        minor: u32,
        patch: u32,
        name: FixedString<64>,
    }

    /// One message the server knows, `<name>_<crc>`.
    #[derive(Eq, Hash)]
    struct MessageTableEntry("message_table_entry") { index: u16, name: FixedString<64> }

    /// Asks for the id of a module's first message, by `<module>_<crc>`.
    request GetFirstMsgId("get_first_msg_id" 0xebf79a66 => GetFirstMsgIdReply) {
        name: FixedString<64>,
    }

    /// Answers [`GetFirstMsgId`].
    reply GetFirstMsgIdReply("get_first_msg_id_reply" 0x7d337472) {
        retval: Retval,
        first_msg_id: u16,
    }

    /// Lists the loaded modules and their versions.
    request ApiVersions("api_versions" 0x51077d14 => ApiVersionsReply) {}

    /// Answers [`ApiVersions`].
    reply ApiVersionsReply("api_versions_reply" 0x5f0d99d6) {
        retval: Retval,
        count: u32 = len(api_versions),
        api_versions: [ModuleVersion; count],
    }

    /// Registers a client on the socket; the first message of a connection.
    request SockclntCreate("sockclnt_create" 0x455fb9c4 [context] => SockclntCreateReply) {
        name: FixedString<64>,
    }

    /// Answers [`SockclntCreate`].
    answer SockclntCreateReply("sockclnt_create_reply" 0x35166268 [client_index context]) {
        response: i32,
        index: u32,
        count: u16 = len(message_table),
        message_table: [MessageTableEntry; count],
    }

    /// Ends a registration.
    request SockclntDelete("sockclnt_delete" 0x8ac76db6 => SockclntDeleteReply) { index: u32 }

    /// Answers [`SockclntDelete`].
    answer SockclntDeleteReply("sockclnt_delete_reply" 0x8f38b1ee) { response: i32 }

    /// Answers a liveness probe; socket clients are never probed.
    request MemclntKeepalive("memclnt_keepalive" 0x51077d14 => ack) {}

    /// Marks a point in the order of requests; closes dumps.
    request ControlPing("control_ping" 0x51077d14 => ControlPingReply) {}

    /// Answers [`ControlPing`].
    reply ControlPingReply("control_ping_reply" 0xf6b0b8ca) {
        retval: Retval,
        client_index: u32,
        vpe_pid: u32,
    }

    /// Asks for the description of all modules as JSON.
    request GetApiJson("get_api_json" 0x51077d14 => GetApiJsonReply) {}

    /// Answers [`GetApiJson`].
    reply GetApiJsonReply("get_api_json_reply" 0xea715b59) { retval: Retval, json: String }
}
