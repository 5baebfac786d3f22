//! Unicast reverse path forwarding: packets whose source is not where they come from.

use super::interface_types::InterfaceIndex;
use super::ip_types::AddressFamily;
use crate::dsl::api;

api! {
    module urpf("1.0.0" 0x88759016) imports [
        "vnet/fib/fib_types.api",
        "vnet/interface_types.api",
        "vnet/ip/ip_types.api",
    ];

    /// How strict the check is.
    enum UrpfMode("urpf_mode" u8) {
        Off = 0 "URPF_API_MODE_OFF",
        Loose = 1 "URPF_API_MODE_LOOSE",
        Strict = 2 "URPF_API_MODE_STRICT",
    }

    /// Sets the check of an interface against table 0.
    request UrpfUpdate("urpf_update" 0xcc274cd1 => ack) {
        is_input: bool = true,
        mode: UrpfMode,
        af: AddressFamily,
        sw_if_index: InterfaceIndex,
    }

    /// Sets the check of an interface against a table; none means the interface's own.
    request UrpfUpdateV2("urpf_update_v2" 0xb873d028 => ack) {
        is_input: bool = true,
        mode: UrpfMode,
        af: AddressFamily,
        sw_if_index: InterfaceIndex,
        table_id: u32 = u32::MAX,
    }

    /// Lists the checks of an interface, or of all.
    dump UrpfInterfaceDump("urpf_interface_dump" 0xf9e6675e => UrpfInterfaceDetails) {
        sw_if_index: InterfaceIndex = InterfaceIndex::NONE,
    }

    /// One entry of [`UrpfInterfaceDump`].
    details UrpfInterfaceDetails("urpf_interface_details" 0xf94b5374) {
        sw_if_index: InterfaceIndex,
        is_input: bool,
        mode: UrpfMode,
        af: AddressFamily,
        table_id: u32,
    }
}
