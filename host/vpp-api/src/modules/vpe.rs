//! Who runs there.

use super::vpe_types::{LogLevel, Timestamp};
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module vpe("1.7.0" 0xbbfa7484) imports ["vpp/api/vpe_types.api"];

    /// Asks what runs at the other end.
    request ShowVersion("show_version" 0x51077d14 => ShowVersionReply) {}

    /// Answers [`ShowVersion`].
    reply ShowVersionReply("show_version_reply" 0xc919bde1) {
        retval: Retval,
        program: FixedString<32>,
        version: FixedString<32>,
        build_date: FixedString<32>,
        build_directory: FixedString<256>,
    }

    /// Asks for the wall clock.
    request ShowVpeSystemTime("show_vpe_system_time" 0x51077d14 => ShowVpeSystemTimeReply) {}

    /// Answers [`ShowVpeSystemTime`].
    reply ShowVpeSystemTimeReply("show_vpe_system_time_reply" 0x7ffd8193) {
        retval: Retval,
        vpe_system_time: Timestamp,
    }

    /// Lists log entries since a time.
    dump LogDump("log_dump" 0x6ab31753 => LogDetails) { start_timestamp: Timestamp }

    /// One entry of [`LogDump`].
    details LogDetails("log_details" 0x03d61cc0) {
        timestamp: Timestamp,
        level: LogLevel,
        msg_class: FixedString<32>,
        message: FixedString<256>,
    }
}
