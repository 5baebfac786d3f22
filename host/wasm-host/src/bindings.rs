//! Typed calls of the contract in `sdk/wit`.
#![allow(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "generated code"
)]

pub(crate) mod control {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host", "../../sdk/wit/control"],
        world: "weft:control/classifier-module",
    });
}

pub(crate) mod packet {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host", "../../sdk/wit/packet"],
        world: "weft:packet/packet-function",
        with: {
            "weft:types/faults": super::control::weft::types::faults,
            "weft:host/log": super::control::weft::host::log,
        },
    });
}
