//! Types of multicast forwarding.

use super::fib_types::FibPath;
use crate::dsl::api;

api! {
    module mfib_types("1.0.0" 0xd2b57aaf) imports [
        "vnet/fib/fib_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// Properties of a multicast route.
    bits MfibEntryFlags("mfib_entry_flags" u32) {
        NONE = 0 "MFIB_API_ENTRY_FLAG_NONE",
        SIGNAL = 1 "MFIB_API_ENTRY_FLAG_SIGNAL",
        DROP = 2 "MFIB_API_ENTRY_FLAG_DROP",
        CONNECTED = 4 "MFIB_API_ENTRY_FLAG_CONNECTED",
        ACCEPT_ALL_ITF = 8 "MFIB_API_ENTRY_FLAG_ACCEPT_ALL_ITF",
    }

    /// Properties of an interface in a multicast route.
    bits MfibItfFlags("mfib_itf_flags" u32) {
        NONE = 0 "MFIB_API_ITF_FLAG_NONE",
        NEGATE_SIGNAL = 1 "MFIB_API_ITF_FLAG_NEGATE_SIGNAL",
        ACCEPT = 2 "MFIB_API_ITF_FLAG_ACCEPT",
        FORWARD = 4 "MFIB_API_ITF_FLAG_FORWARD",
        SIGNAL_PRESENT = 8 "MFIB_API_ITF_FLAG_SIGNAL_PRESENT",
        DONT_PRESERVE = 16 "MFIB_API_ITF_FLAG_DONT_PRESERVE",
    }

    /// One way to forward multicast.
    struct MfibPath("mfib_path") { itf_flags: MfibItfFlags, path: FibPath }
}
