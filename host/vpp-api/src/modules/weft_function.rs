//! Packet functions on interfaces. This module is Weft's own: VPP answers its messages as unknown ones.
//!
//! A function is a WebAssembly component that every worker runs for itself. It sees routed packets, with an Ethernet
//! header, as they come in by an interface (its port 0, `left`) or leave by it (port 1, `right`), and lets one pass by
//! forwarding it to the other port.

use super::interface_types::InterfaceIndex;
use crate::dsl::api;
use crate::retval::Retval;
use crate::wire::FixedString;

api! {
    module weft_function("1.0.0" 0x77656674) imports ["vnet/interface_types.api"];

    /// Makes a function, or puts another module, configuration or limit in the place of the one with this name without
    /// losing a packet; it is given the state of its predecessor.
    request WeftFunctionAddReplace(
        "weft_function_add_replace" 0x27013b62 => WeftFunctionAddReplaceReply
    ) {
        name: FixedString<64>,
        /// Packets pass while the function fails; otherwise they are dropped.
        fail_open: bool,
        /// Most memory of an instance, in MiB; 0 = 64.
        memory_mib: u32,
        /// Longest time of one call, in milliseconds; 0 = 50.
        deadline_ms: u32,
        /// Path of the component, for the dataplane's process.
        module: FixedString<256>,
        /// JSON document; nothing = `{}`.
        config: String,
    }

    /// Answers [`WeftFunctionAddReplace`].
    reply WeftFunctionAddReplaceReply("weft_function_add_replace_reply" 0x081df7d5) {
        retval: Retval,
        function_index: u32,
    }

    /// Deletes a function that no interface uses.
    request WeftFunctionDel("weft_function_del" 0x87a6e975 => ack) { function_index: u32 }

    /// Attaches a function to a side of an interface in the place of another; index `!0` takes it off.
    request WeftFunctionInterfaceSet("weft_function_interface_set" 0x03565cae => ack) {
        sw_if_index: InterfaceIndex,
        is_input: bool = true,
        function_index: u32 = u32::MAX,
    }

    /// Lists functions.
    dump WeftFunctionDump("weft_function_dump" 0x87a6e975 => WeftFunctionDetails) {
        function_index: u32 = u32::MAX,
    }

    /// One entry of [`WeftFunctionDump`].
    details WeftFunctionDetails("weft_function_details" 0x09fc3408) {
        function_index: u32,
        name: FixedString<64>,
        fail_open: bool,
        memory_mib: u32,
        deadline_ms: u32,
        module: FixedString<256>,
        /// What the module calls itself.
        about: FixedString<64>,
        /// Packets that met the function.
        packets: u64,
        /// Packets that it dropped.
        drops: u64,
        /// Packets that it changed.
        changed: u64,
        /// Packets about which it failed to decide.
        undecided: u64,
        /// Calls and starts that failed, of the instances in service.
        faults: u64,
        /// Why the last one failed.
        last_fault: String,
    }

    /// Lists where functions are attached.
    dump WeftFunctionInterfaceDump(
        "weft_function_interface_dump" 0xf9e6675e => WeftFunctionInterfaceDetails
    ) { sw_if_index: InterfaceIndex = InterfaceIndex::NONE }

    /// One entry of [`WeftFunctionInterfaceDump`].
    details WeftFunctionInterfaceDetails("weft_function_interface_details" 0x3692da99) {
        sw_if_index: InterfaceIndex,
        is_input: bool,
        function_index: u32,
    }
}
