//! Module `interface`: state, addresses, MTU, tables, tags, loopbacks, placement.

use vpp_api::interface::{
    CreateLoopback, CreateLoopbackInstance, CreateLoopbackInstanceReply, CreateLoopbackReply,
    DeleteLoopback, HwInterfaceSetMtu, SwInterfaceAddDelAddress, SwInterfaceAddressReplaceBegin,
    SwInterfaceAddressReplaceEnd, SwInterfaceClearStats, SwInterfaceDetails, SwInterfaceDump,
    SwInterfaceEvent, SwInterfaceGetDefaultRxMode, SwInterfaceGetDefaultRxModeReply,
    SwInterfaceGetMacAddress, SwInterfaceGetMacAddressReply, SwInterfaceGetTable,
    SwInterfaceGetTableReply, SwInterfaceRxPlacementDetails, SwInterfaceRxPlacementDump,
    SwInterfaceSetDefaultRxMode, SwInterfaceSetFlags, SwInterfaceSetInterfaceName,
    SwInterfaceSetMacAddress, SwInterfaceSetMtu, SwInterfaceSetPromisc, SwInterfaceSetRxMode,
    SwInterfaceSetRxPlacement, SwInterfaceSetTable, SwInterfaceSetUnnumbered, SwInterfaceTagAddDel,
    WantInterfaceEvents,
};
use vpp_api::interface_types::{IfStatusFlags, IfType, InterfaceIndex, LinkDuplex, RxMode};
use vpp_api::{ApiError, FixedString};
use vswitch::interface::InterfaceInfo;

use super::Api;
use super::convert::{Coded, family, filter, index, mac, mac_if_set, mac_to_api, prefix, sw};
use crate::device;
use crate::engine::Engine;

pub(super) fn register(api: &mut Api) {
    api.on::<SwInterfaceSetFlags, _>(|engine, request| {
        let admin_up = request.flags.contains(IfStatusFlags::ADMIN_UP);
        engine
            .dataplane
            .set_flags(sw(request.sw_if_index), admin_up)
            .coded()
    });
    register_properties(api);
    register_queues(api);
    register_addresses(api);
    register_loopbacks(api);
    api.on_dump::<SwInterfaceDump>(|engine, request| dump(engine, &request));
    // The subscription belongs to the connection, which only the router knows.
    api.router
        .on::<WantInterfaceEvents, _>(|_, request, caller| {
            caller.want::<SwInterfaceEvent>(request.enable_disable != 0, request.pid)
        });
}

fn register_properties(api: &mut Api) {
    api.on::<HwInterfaceSetMtu, _>(|engine, request| {
        engine
            .dataplane
            .hw_set_mtu(sw(request.sw_if_index), request.mtu)
            .coded()
    })
    .on::<SwInterfaceSetMtu, _>(|engine, request| {
        engine
            .dataplane
            .set_mtu(sw(request.sw_if_index), request.mtu)
            .coded()
    })
    .on::<SwInterfaceSetMacAddress, _>(|engine, request| {
        engine
            .dataplane
            .set_mac(sw(request.sw_if_index), mac(request.mac_address))
            .coded()
    })
    .on::<SwInterfaceGetMacAddress, _>(|engine, request| {
        let info = engine
            .dataplane
            .interface(sw(request.sw_if_index))
            .coded()?;
        Ok(SwInterfaceGetMacAddressReply {
            mac_address: mac_to_api(info.mac),
            ..Default::default()
        })
    })
    .on::<SwInterfaceSetInterfaceName, _>(|engine, request| {
        engine
            .dataplane
            .set_name(sw(request.sw_if_index), request.name.as_str())
            .coded()
    })
    .on::<SwInterfaceTagAddDel, _>(|engine, request| {
        engine
            .dataplane
            .tag(
                sw(request.sw_if_index),
                request.is_add,
                request.tag.as_str(),
            )
            .coded()
    });
}

fn register_queues(api: &mut Api) {
    api.on::<SwInterfaceClearStats, _>(|engine, request| {
        let all: Vec<_> = engine
            .dataplane
            .interfaces()
            .map(|info| info.sw_if_index)
            .collect();
        for sw_if_index in all
            .into_iter()
            .filter(|this| filter(request.sw_if_index).is_none_or(|of| of == *this))
        {
            engine.dataplane.clear_counters(sw_if_index);
        }
        Ok(())
    })
    // Devices receive everything anyway.
    .on::<SwInterfaceSetPromisc, _>(|engine, request| {
        engine
            .dataplane
            .interface(sw(request.sw_if_index))
            .map(drop)
            .coded()
    })
    .on::<SwInterfaceSetRxMode, _>(|engine, request| {
        let mode = rx_mode(request.mode, engine.default_rx_mode)?;
        let queue = request.queue_id_valid.then_some(request.queue_id);
        engine.set_rx_mode(sw(request.sw_if_index), queue, mode)
    })
    .on::<SwInterfaceSetDefaultRxMode, _>(|engine, request| {
        engine.default_rx_mode = rx_mode(request.mode, device::inlet::RxMode::default())?;
        Ok(())
    })
    .on::<SwInterfaceGetDefaultRxMode, _>(|engine, _| {
        Ok(SwInterfaceGetDefaultRxModeReply {
            mode: rx_mode_to_api(engine.default_rx_mode),
            ..Default::default()
        })
    })
    .on::<SwInterfaceSetRxPlacement, _>(|engine, request| {
        if request.is_main {
            return Err(ApiError::Unsupported);
        }
        engine.place(sw(request.sw_if_index), request.queue_id, request.worker_id)
    })
    .on_dump::<SwInterfaceRxPlacementDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let placed = engine
            .placements()
            .filter(|(of, _, _)| only.is_none_or(|only| only == *of));
        placed
            .map(|(of, queue_id, worker)| SwInterfaceRxPlacementDetails {
                sw_if_index: index(of),
                queue_id,
                worker_id: u32::try_from(worker).unwrap_or(u32::MAX),
                mode: rx_mode_to_api(engine.rx_mode(of, queue_id)),
            })
            .collect()
    });
}

fn rx_mode(
    mode: RxMode,
    default: device::inlet::RxMode,
) -> Result<device::inlet::RxMode, ApiError> {
    Ok(match mode {
        RxMode::Polling => device::inlet::RxMode::Polling,
        RxMode::Interrupt => device::inlet::RxMode::Interrupt,
        RxMode::Adaptive => device::inlet::RxMode::Adaptive,
        RxMode::Default => default,
        RxMode::Unknown | RxMode::Other(_) => return Err(ApiError::Unimplemented),
    })
}

fn rx_mode_to_api(mode: device::inlet::RxMode) -> RxMode {
    match mode {
        device::inlet::RxMode::Polling => RxMode::Polling,
        device::inlet::RxMode::Interrupt => RxMode::Interrupt,
        device::inlet::RxMode::Adaptive => RxMode::Adaptive,
    }
}

fn register_addresses(api: &mut Api) {
    api.on::<SwInterfaceAddDelAddress, _>(|engine, request| {
        let sw_if_index = sw(request.sw_if_index);
        if request.del_all {
            return engine.dataplane.del_all_addresses(sw_if_index).coded();
        }
        engine
            .dataplane
            .add_del_address(sw_if_index, request.is_add, prefix(request.prefix.0)?)
            .coded()
    })
    .on::<SwInterfaceAddressReplaceBegin, _>(|engine, _| {
        engine.dataplane.address_replace_begin();
        Ok(())
    })
    .on::<SwInterfaceAddressReplaceEnd, _>(|engine, _| {
        engine.dataplane.address_replace_end();
        Ok(())
    })
    .on::<SwInterfaceSetTable, _>(|engine, request| {
        let of = family(request.is_ipv6);
        engine
            .dataplane
            .set_table(sw(request.sw_if_index), of, request.vrf_id)
            .coded()
    })
    .on::<SwInterfaceGetTable, _>(|engine, request| {
        let vrf_id = engine
            .dataplane
            .table_of(sw(request.sw_if_index), family(request.is_ipv6))
            .coded()?;
        Ok(SwInterfaceGetTableReply {
            vrf_id,
            ..Default::default()
        })
    })
    // The names of the fields are the wrong way round in VPP: `sw_if_index` lends its address.
    .on::<SwInterfaceSetUnnumbered, _>(|engine, request| {
        let lender = request.is_add.then_some(sw(request.sw_if_index));
        engine
            .dataplane
            .set_unnumbered(sw(request.unnumbered_sw_if_index), lender)
            .coded()
    });
}

fn register_loopbacks(api: &mut Api) {
    api.on::<CreateLoopback, _>(|engine, request| {
        let sw_if_index = create_loopback(engine, request.mac_address, None)?;
        Ok(CreateLoopbackReply {
            sw_if_index,
            ..Default::default()
        })
    })
    .on::<CreateLoopbackInstance, _>(|engine, request| {
        let instance = request.is_specified.then_some(request.user_instance);
        let sw_if_index = create_loopback(engine, request.mac_address, instance)?;
        Ok(CreateLoopbackInstanceReply {
            sw_if_index,
            ..Default::default()
        })
    })
    .on::<DeleteLoopback, _>(|engine, request| {
        engine
            .dataplane
            .delete_loopback(sw(request.sw_if_index))
            .coded()
    });
}

pub(super) fn create_loopback(
    engine: &mut Engine,
    address: vpp_api::ethernet_types::MacAddress,
    instance: Option<u32>,
) -> Result<InterfaceIndex, ApiError> {
    let address = mac_if_set(address).unwrap_or_default();
    engine
        .dataplane
        .create_loopback(address, instance)
        .coded()
        .map(index)
}

pub(super) fn status(admin_up: bool, link_up: bool) -> IfStatusFlags {
    let admin = if admin_up {
        IfStatusFlags::ADMIN_UP
    } else {
        IfStatusFlags::EMPTY
    };
    let link = if link_up {
        IfStatusFlags::LINK_UP
    } else {
        IfStatusFlags::EMPTY
    };
    admin | link
}

/// As in VPP, index 0 asks for all like ~0 does, and the name filter is a substring without regard to case.
fn dump(engine: &Engine, request: &SwInterfaceDump) -> Vec<SwInterfaceDetails> {
    let only = filter(request.sw_if_index).filter(|only| only.0 != 0);
    let wanted = request.name_filter.to_lowercase();
    let is_wanted = |info: &&InterfaceInfo| {
        only.is_none_or(|only| only == info.sw_if_index)
            && (!request.name_filter_valid || info.name.to_lowercase().contains(&wanted))
    };
    engine
        .dataplane
        .interfaces()
        .filter(is_wanted)
        .map(details)
        .collect()
}

fn details(info: &InterfaceInfo) -> SwInterfaceDetails {
    let details = SwInterfaceDetails {
        sw_if_index: index(info.sw_if_index),
        sup_sw_if_index: info.sw_if_index.0,
        l2_address: mac_to_api(info.mac),
        flags: status(info.admin_up, info.link_up),
        r#type: IfType::Hardware,
        vtr_op: info.tag_rewrite.op.number(),
        vtr_push_dot1q: u32::from(info.tag_rewrite.push_dot1q),
        vtr_tag1: u32::from(info.tag_rewrite.tag1),
        vtr_tag2: u32::from(info.tag_rewrite.tag2),
        link_duplex: LinkDuplex::Unknown,
        link_mtu: info.link_mtu,
        mtu: info.mtu,
        interface_name: FixedString::truncated(&info.name),
        interface_dev_type: FixedString::truncated(info.dev_type),
        tag: FixedString::truncated(&info.tag),
        ..SwInterfaceDetails::default()
    };
    super::subif::with_sub(details, info)
}
