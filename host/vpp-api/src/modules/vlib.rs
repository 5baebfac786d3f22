//! Threads, graph nodes and the debug CLI.

use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module vlib("1.0.0" 0x9a9e84e4) imports [];

    /// One thread.
    #[derive(Eq, Hash)]
    struct ThreadData("thread_data") {
        id: u32,
        name: FixedString<64>,
        r#type: FixedString<64>,
        pid: u32,
        cpu_id: u32,
        core: u32,
        cpu_socket: u32,
    }

    /// Runs a line of the debug CLI and returns what it prints.
    request CliInband("cli_inband" 0xf8377302 => CliInbandReply) { cmd: String }

    /// Answers [`CliInband`].
    reply CliInbandReply("cli_inband_reply" 0x05879051) { retval: Retval, reply: String }

    /// Looks up a graph node by name.
    request GetNodeIndex("get_node_index" 0xf1984c64 => GetNodeIndexReply) {
        node_name: FixedString<64>,
    }

    /// Answers [`GetNodeIndex`].
    reply GetNodeIndexReply("get_node_index_reply" 0xa8600b89) { retval: Retval, node_index: u32 }

    /// Adds an arc between two graph nodes.
    request AddNodeNext("add_node_next" 0x2457116d => AddNodeNextReply) {
        node_name: FixedString<64>,
        next_name: FixedString<64>,
    }

    /// Answers [`AddNodeNext`].
    reply AddNodeNextReply("add_node_next_reply" 0x2ed75f32) { retval: Retval, next_index: u32 }

    /// Lists the threads.
    request ShowThreads("show_threads" 0x51077d14 => ShowThreadsReply) {}

    /// Answers [`ShowThreads`].
    reply ShowThreadsReply("show_threads_reply" 0xefd78e83) {
        retval: Retval,
        count: u32 = len(thread_data),
        thread_data: [ThreadData; count],
    }

    /// Looks up the arc between two graph nodes.
    request GetNextIndex("get_next_index" 0x2457116d => GetNextIndexReply) {
        node_name: FixedString<64>,
        next_name: FixedString<64>,
    }

    /// Answers [`GetNextIndex`].
    reply GetNextIndexReply("get_next_index_reply" 0x2ed75f32) { retval: Retval, next_index: u32 }
}
