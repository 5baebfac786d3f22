//! Traces of packets through the graph.

use crate::dsl::api;
use crate::retval::Retval;

api! {
    module tracedump("0.2.0" 0x56abf80a) imports [];

    /// How the trace is limited.
    bits TraceFilterFlag("trace_filter_flag" u32) {
        NONE = 0 "TRACE_FF_NONE",
        INCLUDE_NODE = 1 "TRACE_FF_INCLUDE_NODE",
        EXCLUDE_NODE = 2 "TRACE_FF_EXCLUDE_NODE",
        INCLUDE_CLASSIFIER = 3 "TRACE_FF_INCLUDE_CLASSIFIER",
        EXCLUDE_CLASSIFIER = 4 "TRACE_FF_EXCLUDE_CLASSIFIER",
    }

    /// Limits the trace to packets that pass a node, or not.
    request TraceSetFilters("trace_set_filters" 0xf522b44a => ack) {
        flag: TraceFilterFlag,
        count: u32,
        node_index: u32 = u32::MAX,
        classifier_table_index: u32 = u32::MAX,
    }

    /// Traces the next packets of an input node.
    request TraceCapturePackets("trace_capture_packets" 0x9e791a9b => ack) {
        node_index: u32,
        max_packets: u32,
        use_filter: bool,
        verbose: bool,
        pre_capture_clear: bool,
    }

    /// Forgets the trace.
    request TraceClearCapture("trace_clear_capture" 0x51077d14 => ack) {}

    /// Lists traced packets from the client's cache.
    stream TraceDump("trace_dump" 0xc7d6681f => TraceDetails, TraceDumpReply) {
        clear_cache: u8,
        thread_id: u32,
        position: u32,
        max_records: u32,
    }

    /// One entry of [`TraceDump`].
    details TraceDetails("trace_details" 0x1553e9eb [client_index context]) {
        thread_id: u32,
        position: u32,
        more_this_thread: u8,
        more_threads: u8,
        done: u8,
        packet_number: u32,
        trace_data: String,
    }

    /// Answers [`TraceDump`].
    reply TraceDumpReply("trace_dump_reply" 0xe0e87f9d) {
        retval: Retval,
        last_thread_id: u32,
        last_position: u32,
        more_this_thread: u8,
        more_threads: u8,
        flush_only: u8,
        done: u8,
    }

    /// Forgets the client's cache.
    request TraceClearCache("trace_clear_cache" 0x51077d14 => ack) {}

    /// Lists traced packets of a thread.
    dump TraceV2Dump("trace_v2_dump" 0x83f88d8e => TraceV2Details) {
        thread_id: u32 = u32::MAX,
        position: u32,
        max: u32 = 50,
        clear_cache: bool,
    }

    /// One entry of [`TraceV2Dump`].
    details TraceV2Details("trace_v2_details" 0x91f87d52) {
        thread_id: u32,
        position: u32,
        more: bool,
        trace_data: String,
    }
}
