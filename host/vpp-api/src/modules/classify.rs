//! Classifier tables, their sessions, and where they are used.

use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;

api! {
    module classify("3.1.0" 0x92a4f2c8) imports ["vnet/interface_types.api"];

    /// What a session does to a packet beside letting it pass or not.
    enum ClassifyAction("classify_action" u8) {
        None = 0 "CLASSIFY_API_ACTION_NONE",
        SetIp4FibIndex = 1 "CLASSIFY_API_ACTION_SET_IP4_FIB_INDEX",
        SetIp6FibIndex = 2 "CLASSIFY_API_ACTION_SET_IP6_FIB_INDEX",
        SetMetadata = 3 "CLASSIFY_API_ACTION_SET_METADATA",
        MarkFlow = 4 "CLASSIFY_API_ACTION_MARK_FLOW",
    }

    /// Adds a table (index `!0`), changes the next table of one, or deletes one.
    request ClassifyAddDelTable("classify_add_del_table" 0x6849e39e => ClassifyAddDelTableReply) {
        is_add: bool,
        del_chain: bool,
        table_index: u32 = u32::MAX,
        nbuckets: u32 = 2,
        memory_size: u32 = 2_097_152,
        skip_n_vectors: u32 = 0,
        match_n_vectors: u32 = 1,
        next_table_index: u32 = u32::MAX,
        miss_next_index: u32 = u32::MAX,
        current_data_flag: u8 = 0,
        current_data_offset: i16 = 0,
        mask_len: u32 = len(mask),
        mask: [u8; mask_len],
    }

    /// Answers [`ClassifyAddDelTable`].
    reply ClassifyAddDelTableReply("classify_add_del_table_reply" 0x05486349) {
        retval: Retval,
        new_table_index: u32,
        skip_n_vectors: u32,
        match_n_vectors: u32,
    }

    /// Adds, replaces or deletes a session of a table.
    request ClassifyAddDelSession("classify_add_del_session" 0xf20879f0 => ack) {
        is_add: bool,
        table_index: u32,
        hit_next_index: u32 = u32::MAX,
        opaque_index: u32 = u32::MAX,
        advance: i32 = 0,
        action: ClassifyAction = ClassifyAction::None,
        metadata: u32 = 0,
        match_len: u32 = len(r#match),
        r#match: [u8; match_len],
    }

    /// Asks for the numbers of all tables.
    request ClassifyTableIds("classify_table_ids" 0x51077d14 => ClassifyTableIdsReply) {}

    /// Answers [`ClassifyTableIds`].
    reply ClassifyTableIdsReply("classify_table_ids_reply" 0xd1d20e1d) {
        retval: Retval,
        count: u32 = len(ids),
        ids: [u32; count],
    }

    /// Asks which tables decide about what an interface receives.
    request ClassifyTableByInterface(
        "classify_table_by_interface" 0xf9e6675e => ClassifyTableByInterfaceReply
    ) { sw_if_index: InterfaceIndex }

    /// Answers [`ClassifyTableByInterface`].
    reply ClassifyTableByInterfaceReply("classify_table_by_interface_reply" 0xed4197db) {
        retval: Retval,
        sw_if_index: InterfaceIndex,
        l2_table_id: u32,
        ip4_table_id: u32,
        ip6_table_id: u32,
    }

    /// Asks what a table is.
    request ClassifyTableInfo("classify_table_info" 0x0cca2cd9 => ClassifyTableInfoReply) {
        table_id: u32,
    }

    /// Answers [`ClassifyTableInfo`].
    reply ClassifyTableInfoReply("classify_table_info_reply" 0x4a573c0e) {
        retval: Retval,
        table_id: u32,
        nbuckets: u32,
        match_n_vectors: u32,
        skip_n_vectors: u32,
        active_sessions: u32,
        next_table_index: u32,
        miss_next_index: u32,
        mask_length: u32 = len(mask),
        mask: [u8; mask_length],
    }

    /// Lists the sessions of a table.
    dump ClassifySessionDump("classify_session_dump" 0x0cca2cd9 => ClassifySessionDetails) {
        table_id: u32,
    }

    /// One entry of [`ClassifySessionDump`].
    details ClassifySessionDetails("classify_session_details" 0x60e3ef94) {
        retval: Retval,
        table_id: u32,
        hit_next_index: u32,
        advance: i32,
        opaque_index: u32,
        match_length: u32 = len(r#match),
        r#match: [u8; match_length],
    }

    /// Lets tables decide about what an interface receives, or no longer.
    request InputAclSetInterface("input_acl_set_interface" 0xde7ad708 => ack) {
        sw_if_index: InterfaceIndex,
        ip4_table_index: u32,
        ip6_table_index: u32,
        l2_table_index: u32,
        is_add: bool,
    }
}
