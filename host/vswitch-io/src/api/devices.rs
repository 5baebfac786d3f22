//! Modules `tapv2`, `af_packet` and `memif`: interfaces with a device behind them.

use std::net::IpAddr;

use memif_rs::Mode;
use vpp_api::af_packet::{
    AfPacketCreateV3, AfPacketCreateV3Reply, AfPacketDelete, AfPacketDetails, AfPacketDump,
    AfPacketFlags, AfPacketMode,
};
use vpp_api::ip_types::{Ip4AddressWithPrefix, Ip4Prefix, Ip6AddressWithPrefix, Ip6Prefix};
use vpp_api::memif::{
    MemifCreateV2, MemifCreateV2Reply, MemifDelete, MemifDetails, MemifDump, MemifMode, MemifRole,
    MemifSocketFilenameAddDelV2, MemifSocketFilenameAddDelV2Reply, MemifSocketFilenameDetails,
    MemifSocketFilenameDump,
};
use vpp_api::tapv2::{
    SwInterfaceTapV2Details, SwInterfaceTapV2Dump, TapCreateV3, TapCreateV3Reply, TapDeleteV2,
    TapFlags,
};
use vpp_api::{ApiError, FixedString};
use vswitch::SwIfIndex;

use super::Api;
use super::convert::{Coded, filter, index, mac_if_set, mac_to_api, sw};
use super::interface::status;
use crate::device::af_packet::AfPacketConfig;
use crate::device::tap::TapConfig;
use crate::engine::Engine;
use crate::engine::memif::{MemifDevice, MemifRequest};
use crate::engine::tap::{TapDevice, TapRequest};

/// Most queues of one interface.
const QUEUES_MAX: u16 = 64;

pub(super) fn register(api: &mut Api) {
    api.on::<TapCreateV3, _>(|engine, request| create_tap(engine, &request))
        .on::<TapDeleteV2, _>(|engine, request| engine.delete_tap(sw(request.sw_if_index)))
        .on_dump::<SwInterfaceTapV2Dump>(|engine, request| {
            let only = filter(request.sw_if_index);
            let taps = engine
                .taps
                .iter()
                .filter(|(of, _)| only.is_none_or(|only| only == **of));
            taps.map(|(of, tap)| tap_details(*of, tap)).collect()
        });
    api.on::<AfPacketCreateV3, _>(|engine, request| create_af_packet(engine, &request))
        .on::<AfPacketDelete, _>(|engine, request| {
            engine.delete_af_packet(request.host_if_name.as_str())
        })
        .on_dump::<AfPacketDump>(|engine, _| {
            let details =
                |(of, device): (&SwIfIndex, &crate::engine::af_packet::AfPacketDevice)| {
                    AfPacketDetails {
                        sw_if_index: index(*of),
                        host_if_name: FixedString::truncated(&device.host_if_name),
                    }
                };
            engine.packets.iter().map(details).collect()
        });
    register_memif(api);
}

fn create_tap(engine: &mut Engine, request: &TapCreateV3) -> Result<TapCreateV3Reply, ApiError> {
    let set = |is_set: bool, text: &FixedString<64>| {
        if is_set {
            text.as_str().to_owned()
        } else {
            String::new()
        }
    };
    let ip4 = request.host_ip4_prefix.0;
    let ip6 = request.host_ip6_prefix.0;
    let addresses = [
        (
            request.host_ip4_prefix_set,
            (IpAddr::V4(ip4.address), ip4.len),
        ),
        (
            request.host_ip6_prefix_set,
            (IpAddr::V6(ip6.address), ip6.len),
        ),
    ];
    let gateways = [
        (request.host_ip4_gw_set, IpAddr::V4(request.host_ip4_gw)),
        (request.host_ip6_gw_set, IpAddr::V6(request.host_ip6_gw)),
    ];
    let host = TapConfig {
        host_if_name: set(request.host_if_name_set, &request.host_if_name),
        host_namespace: set(request.host_namespace_set, &request.host_namespace),
        tun: request.tap_flags.contains(TapFlags::TUN),
        queues: request.num_rx_queues.clamp(1, QUEUES_MAX),
        host_mtu: request.host_mtu_set.then_some(request.host_mtu_size),
        host_mac: request.host_mac_addr_set.then_some(request.host_mac_addr.0),
        addresses: addresses
            .into_iter()
            .filter_map(|(is_set, address)| is_set.then_some(address))
            .collect(),
        gateways: gateways
            .into_iter()
            .filter_map(|(is_set, gateway)| is_set.then_some(gateway))
            .collect(),
        bridge: request
            .host_bridge_set
            .then(|| request.host_bridge.as_str().to_owned()),
    };
    let mac = mac_if_set(request.mac_address).filter(|_| !request.use_random_mac);
    let id = (request.id != u32::MAX).then_some(request.id);
    let sw_if_index = engine.create_tap(TapRequest { id, mac, host })?;
    if !request.tag.is_empty() {
        engine
            .dataplane
            .tag(sw_if_index, true, &request.tag)
            .coded()?;
    }
    Ok(TapCreateV3Reply {
        sw_if_index: index(sw_if_index),
        ..Default::default()
    })
}

fn tap_details(sw_if_index: SwIfIndex, device: &TapDevice) -> SwInterfaceTapV2Details {
    let (kind, tun) = if device.host.tun {
        ("tun", TapFlags::TUN)
    } else {
        ("tap", TapFlags::EMPTY)
    };
    let mut details = SwInterfaceTapV2Details {
        sw_if_index: sw_if_index.0,
        id: device.id,
        tx_ring_sz: 256,
        rx_ring_sz: 256,
        host_mtu_size: device.tap.host().mtu,
        host_mac_addr: vpp_api::ethernet_types::MacAddress(device.tap.host().mac),
        tap_flags: TapFlags::GSO | TapFlags::CSUM_OFFLOAD | TapFlags::PERSIST | tun,
        dev_name: FixedString::truncated(&format!("{kind}{}", device.id)),
        host_if_name: FixedString::truncated(&device.host.host_if_name),
        host_namespace: FixedString::truncated(&device.host.host_namespace),
        host_bridge: FixedString::truncated(device.host.bridge.as_deref().unwrap_or_default()),
        ..SwInterfaceTapV2Details::default()
    };
    for (address, len) in &device.host.addresses {
        match *address {
            IpAddr::V4(address) => {
                details.host_ip4_prefix = Ip4AddressWithPrefix(Ip4Prefix { address, len: *len });
            }
            IpAddr::V6(address) => {
                details.host_ip6_prefix = Ip6AddressWithPrefix(Ip6Prefix { address, len: *len });
            }
        }
    }
    details
}

fn create_af_packet(
    engine: &mut Engine,
    request: &AfPacketCreateV3,
) -> Result<AfPacketCreateV3Reply, ApiError> {
    let ip_only = match request.mode {
        AfPacketMode::Ethernet => false,
        AfPacketMode::Ip => true,
        AfPacketMode::Other(_) => return Err(ApiError::InvalidValue),
    };
    let config = AfPacketConfig {
        host_if_name: request.host_if_name.as_str().to_owned(),
        queues: request.num_rx_queues.clamp(1, QUEUES_MAX),
        qdisc_bypass: request.flags.contains(AfPacketFlags::QDISC_BYPASS),
        ip_only,
    };
    let mac = mac_if_set(request.hw_addr).filter(|_| !request.use_random_hw_addr);
    let sw_if_index = index(engine.create_af_packet(mac, &config)?);
    Ok(AfPacketCreateV3Reply {
        sw_if_index,
        ..Default::default()
    })
}

fn register_memif(api: &mut Api) {
    api.on::<MemifSocketFilenameAddDelV2, _>(|engine, request| {
        let id = (request.socket_id != u32::MAX).then_some(request.socket_id);
        let socket_id = if request.is_add {
            engine.add_memif_socket(id, &request.socket_filename)?
        } else {
            engine.delete_memif_socket(request.socket_id)?;
            request.socket_id
        };
        Ok(MemifSocketFilenameAddDelV2Reply {
            socket_id,
            ..Default::default()
        })
    })
    .on::<MemifCreateV2, _>(|engine, request| create_memif(engine, &request))
    .on::<MemifDelete, _>(|engine, request| engine.delete_memif(sw(request.sw_if_index)))
    .on_dump::<MemifSocketFilenameDump>(|engine, _| {
        let details = |(socket_id, filename): (u32, &str)| MemifSocketFilenameDetails {
            socket_id,
            socket_filename: FixedString::truncated(filename),
        };
        engine.sockets.iter().map(details).collect()
    })
    .on_dump::<MemifDump>(|engine, _| {
        engine
            .memifs
            .iter()
            .map(|(of, device)| memif_details(engine, *of, device))
            .collect()
    });
}

fn create_memif(
    engine: &mut Engine,
    request: &MemifCreateV2,
) -> Result<MemifCreateV2Reply, ApiError> {
    let request = MemifRequest {
        is_master: match request.role {
            MemifRole::Master => true,
            MemifRole::Slave => false,
            MemifRole::Other(_) => return Err(ApiError::InvalidValue),
        },
        mode: match request.mode {
            MemifMode::Ethernet => Mode::Ethernet,
            MemifMode::Ip => Mode::Ip,
            MemifMode::PuntInject | MemifMode::Other(_) => return Err(ApiError::InvalidValue),
        },
        id: request.id,
        socket_id: request.socket_id,
        queues: request.rx_queues.max(request.tx_queues),
        ring_size: request.ring_size,
        buffer_size: request.buffer_size,
        mac: mac_if_set(request.hw_addr),
        secret: request.secret.as_str().to_owned(),
    };
    let sw_if_index = index(engine.create_memif(request)?);
    Ok(MemifCreateV2Reply {
        sw_if_index,
        ..Default::default()
    })
}

/// As in VPP, ring and buffer sizes are those agreed with the peer: 1 and 0 before there is one.
fn memif_details(engine: &Engine, sw_if_index: SwIfIndex, device: &MemifDevice) -> MemifDetails {
    let info = engine.dataplane.interface(sw_if_index).ok();
    let request = &device.request;
    MemifDetails {
        sw_if_index: index(sw_if_index),
        hw_addr: info.map(|info| mac_to_api(info.mac)).unwrap_or_default(),
        id: request.id,
        role: if request.is_master {
            MemifRole::Master
        } else {
            MemifRole::Slave
        },
        mode: match request.mode {
            Mode::Ethernet => MemifMode::Ethernet,
            Mode::Ip => MemifMode::Ip,
        },
        zero_copy: false,
        socket_id: request.socket_id,
        ring_size: device
            .peer
            .as_ref()
            .map_or(1, |(_, _, ring_size)| *ring_size),
        buffer_size: device.peer.as_ref().map_or(0, |_| 2048),
        flags: info
            .map(|info| status(info.admin_up, info.link_up))
            .unwrap_or_default(),
        if_name: info
            .map(|info| FixedString::truncated(&info.name))
            .unwrap_or_default(),
    }
}
