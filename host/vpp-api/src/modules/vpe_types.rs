//! Types of versions, logs and clocks.

use crate::dsl::api;

api! {
    module vpe_types("1.0.0" 0x5f754a1c) imports [];

    /// Severity of a log entry.
    enum LogLevel("log_level" u32) {
        Emerg = 0 "VPE_API_LOG_LEVEL_EMERG",
        Alert = 1 "VPE_API_LOG_LEVEL_ALERT",
        Crit = 2 "VPE_API_LOG_LEVEL_CRIT",
        Err = 3 "VPE_API_LOG_LEVEL_ERR",
        Warning = 4 "VPE_API_LOG_LEVEL_WARNING",
        Notice = 5 "VPE_API_LOG_LEVEL_NOTICE",
        Info = 6 "VPE_API_LOG_LEVEL_INFO",
        Debug = 7 "VPE_API_LOG_LEVEL_DEBUG",
        Disabled = 8 "VPE_API_LOG_LEVEL_DISABLED",
    }

    /// Seconds since the epoch.
    alias Timestamp("timestamp" f64) {}

    /// Seconds.
    alias Timedelta("timedelta" f64) {}

    /// Three-part version.
    #[derive(Copy, Eq, Hash)]
    struct Version("version") {
        major: u32,
        minor: u32,
        patch: u32,
        pre_release: [u8; 17],
        build_metadata: [u8; 17],
    }
}
