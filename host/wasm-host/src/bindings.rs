//! Typed calls of the contract in `sdk/wit`.
#![allow(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "generated code"
)]

pub(crate) mod capabilities {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host"],
        world: "weft:host/capabilities",
    });
}

pub(crate) mod classifier {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host", "../../sdk/wit/control"],
        world: "weft:control/classifier-module",
        with: {
            "weft:types/net": super::capabilities::weft::types::net,
            "weft:types/faults": super::capabilities::weft::types::faults,
            "weft:host/log": super::capabilities::weft::host::log,
            "weft:host/clock": super::capabilities::weft::host::clock,
            "weft:host/random": super::capabilities::weft::host::random,
            "weft:host/metrics": super::capabilities::weft::host::metrics,
            "weft:host/key-value": super::capabilities::weft::host::key_value,
            "weft:host/files": super::capabilities::weft::host::files,
        },
    });
}

pub(crate) mod steering {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host", "../../sdk/wit/control"],
        world: "weft:control/steering-module",
        with: {
            "weft:types/net": super::capabilities::weft::types::net,
            "weft:types/faults": super::capabilities::weft::types::faults,
            "weft:host/log": super::capabilities::weft::host::log,
            "weft:host/clock": super::capabilities::weft::host::clock,
            "weft:host/random": super::capabilities::weft::host::random,
            "weft:host/metrics": super::capabilities::weft::host::metrics,
            "weft:host/key-value": super::capabilities::weft::host::key_value,
            "weft:host/files": super::capabilities::weft::host::files,
            "weft:control/snapshot": super::classifier::weft::control::snapshot,
        },
    });
}

pub(crate) mod packet {
    wasmtime::component::bindgen!({
        path: ["../../sdk/wit/types", "../../sdk/wit/host", "../../sdk/wit/packet"],
        world: "weft:packet/packet-function",
        with: {
            "weft:types/faults": super::capabilities::weft::types::faults,
            "weft:host/log": super::capabilities::weft::host::log,
        },
    });
}
