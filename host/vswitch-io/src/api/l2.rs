//! Module `l2`: bridge domains, cross-connects, MAC tables.

use vpp_api::l2::{
    BdFlags, BdIpMac, BdIpMacAddDel, BdIpMacDetails, BdIpMacDump, BdIpMacFlush,
    BridgeDomainAddDelV2, BridgeDomainAddDelV2Reply, BridgeDomainDetails, BridgeDomainDump,
    BridgeDomainSetDefaultLearnLimit, BridgeDomainSetLearnLimit, BridgeDomainSetMacAge,
    BridgeDomainSwIf, BridgeFlags, BridgeFlagsReply, BviCreate, BviCreateReply, BviDelete,
    L2FibClearTable, L2FibTableDetails, L2FibTableDump, L2PortType, L2XconnectDetails,
    L2XconnectDump, L2fibAddDel, L2fibFlushAll, L2fibFlushBd, L2fibFlushInt, L2fibSetScanDelay,
    SwInterfaceSetL2Bridge, SwInterfaceSetL2Xconnect,
};
use vpp_api::{ApiError, FixedString};
use vswitch::SwIfIndex;
use vswitch::bridge::{self, BridgeInfo, BridgeSpec, L2FibEntry, L2FibFlags, PortType};

use super::Api;
use super::convert::{Coded, filter, index, mac, mac_to_api, sw};
use super::interface::create_loopback;

pub(super) fn register(api: &mut Api) {
    register_bridges(api);
    register_fib(api);
    register_arp_term(api);
    api.on::<SwInterfaceSetL2Xconnect, _>(|engine, request| {
        let (rx, tx) = (sw(request.rx_sw_if_index), sw(request.tx_sw_if_index));
        engine
            .dataplane
            .set_l2_xconnect(rx, tx, request.enable)
            .coded()
    })
    .on::<SwInterfaceSetL2Bridge, _>(|engine, request| {
        let port_type = match request.port_type {
            L2PortType::Normal => PortType::Normal,
            L2PortType::Bvi => PortType::Bvi,
            L2PortType::UuFwd => PortType::UuFwd,
            L2PortType::Other(_) => return Err(ApiError::InvalidValue),
        };
        let rx = sw(request.rx_sw_if_index);
        engine
            .dataplane
            .set_l2_bridge(rx, request.bd_id, port_type, request.shg, request.enable)
            .coded()
    })
    .on_dump::<L2XconnectDump>(|engine, _| {
        let details = |(rx, tx)| L2XconnectDetails {
            rx_sw_if_index: index(rx),
            tx_sw_if_index: index(tx),
        };
        engine
            .dataplane
            .xconnects()
            .into_iter()
            .map(details)
            .collect()
    })
    .on::<BviCreate, _>(|engine, request| {
        let instance = (request.user_instance != u32::MAX).then_some(request.user_instance);
        let sw_if_index = create_loopback(engine, request.mac, instance)?;
        Ok(BviCreateReply {
            sw_if_index,
            ..Default::default()
        })
    })
    .on::<BviDelete, _>(|engine, request| {
        engine
            .dataplane
            .delete_loopback(sw(request.sw_if_index))
            .coded()
    });
}

fn register_bridges(api: &mut Api) {
    api.on::<BridgeDomainAddDelV2, _>(|engine, request| {
        let spec = BridgeSpec {
            flood: request.flood,
            uu_flood: request.uu_flood,
            forward: request.forward,
            learn: request.learn,
            arp_term: request.arp_term,
            arp_ufwd: request.arp_ufwd,
            mac_age: request.mac_age,
            learn_limit: None,
            tag: request.bd_tag.as_str().to_owned(),
        };
        let id = (request.bd_id != u32::MAX).then_some(request.bd_id);
        let bd_id = engine
            .dataplane
            .bridge_domain_add_del(id, request.is_add.then_some(spec))
            .coded()?;
        Ok(BridgeDomainAddDelV2Reply {
            bd_id,
            ..Default::default()
        })
    })
    .on::<BridgeFlags, _>(|engine, request| {
        let flags = bridge_flags(request.flags);
        let result = engine
            .dataplane
            .bridge_flags(request.bd_id, request.is_set, flags)
            .coded()?;
        let resulting_feature_bitmap = bridge_flags_to_api(result).0;
        Ok(BridgeFlagsReply {
            resulting_feature_bitmap,
            ..Default::default()
        })
    })
    .on::<BridgeDomainSetMacAge, _>(|engine, request| {
        engine
            .dataplane
            .bridge_domain_set_mac_age(request.bd_id, request.mac_age)
            .coded()
    })
    .on::<BridgeDomainSetLearnLimit, _>(|engine, request| {
        engine
            .dataplane
            .bridge_domain_set_learn_limit(request.bd_id, request.learn_limit)
            .coded()
    })
    .on::<BridgeDomainSetDefaultLearnLimit, _>(|engine, request| {
        engine
            .dataplane
            .bridge_domain_set_default_learn_limit(request.learn_limit);
        Ok(())
    })
    .on_dump::<BridgeDomainDump>(|engine, request| {
        let only = filter(request.sw_if_index);
        let is_wanted = |bridge: &BridgeInfo| {
            (request.bd_id == u32::MAX || request.bd_id == bridge.bd_id)
                && only.is_none_or(|only| bridge.members.iter().any(|(member, _)| *member == only))
        };
        engine
            .dataplane
            .bridge_domains()
            .filter(|bridge| is_wanted(bridge))
            .map(|bridge| details(&bridge))
            .collect()
    });
}

fn register_arp_term(api: &mut Api) {
    api.on::<BdIpMacAddDel, _>(|engine, request| {
        let BdIpMac { bd_id, ip, mac: to } = request.entry;
        engine
            .dataplane
            .bd_ip_mac_add_del(bd_id, ip, mac(to), request.is_add)
            .coded()
    })
    .on::<BdIpMacFlush, _>(|engine, request| {
        engine.dataplane.bd_ip_mac_flush(request.bd_id).coded()
    })
    .on_dump::<BdIpMacDump>(|engine, request| {
        let only = (request.bd_id != u32::MAX).then_some(request.bd_id);
        let entries = engine.dataplane.bd_ip_macs(only).into_iter();
        entries
            .map(|(bd_id, ip, of)| BdIpMacDetails {
                entry: BdIpMac {
                    bd_id,
                    ip,
                    mac: mac_to_api(of),
                },
            })
            .collect()
    });
}

fn register_fib(api: &mut Api) {
    api.on::<L2fibAddDel, _>(|engine, request| {
        let flags = L2FibFlags {
            static_mac: request.static_mac,
            filter_mac: request.filter_mac,
            bvi_mac: request.bvi_mac,
        };
        let (address, to) = (mac(request.mac), sw(request.sw_if_index));
        engine
            .dataplane
            .l2fib_add_del(address, request.bd_id, to, flags, request.is_add)
            .coded()
    })
    .on::<L2fibFlushBd, _>(|engine, request| engine.dataplane.l2fib_flush_bd(request.bd_id).coded())
    .on::<L2fibFlushInt, _>(|engine, request| {
        engine
            .dataplane
            .l2fib_flush_int(sw(request.sw_if_index))
            .coded()
    })
    .on::<L2fibFlushAll, _>(|engine, _| {
        engine.dataplane.l2fib_flush_all();
        Ok(())
    })
    .on::<L2fibSetScanDelay, _>(|engine, request| {
        if request.scan_delay == 0 {
            return Err(ApiError::InvalidValue);
        }
        // Nothing scans here: addresses are learned and aged at once. What a client sees of it is the flush.
        engine.dataplane.l2fib_flush_all();
        Ok(())
    })
    .on::<L2FibClearTable, _>(|engine, _| {
        engine.dataplane.l2fib_flush_all();
        Ok(())
    })
    .on_dump::<L2FibTableDump>(|engine, request| {
        let details = |entry: L2FibEntry| L2FibTableDetails {
            bd_id: request.bd_id,
            mac: mac_to_api(entry.mac),
            sw_if_index: index(entry.sw_if_index),
            static_mac: entry.flags.static_mac,
            filter_mac: entry.flags.filter_mac,
            bvi_mac: entry.flags.bvi_mac,
        };
        engine
            .dataplane
            .l2fib(request.bd_id)
            .into_iter()
            .map(details)
            .collect()
    });
}

fn details(bridge: &BridgeInfo) -> BridgeDomainDetails {
    let member = |(sw_if_index, shg): &(SwIfIndex, u8)| BridgeDomainSwIf {
        sw_if_index: index(*sw_if_index),
        shg: *shg,
        ..BridgeDomainSwIf::default()
    };
    BridgeDomainDetails {
        bd_id: bridge.bd_id,
        flood: bridge.spec.flood,
        uu_flood: bridge.spec.uu_flood,
        forward: bridge.spec.forward,
        learn: bridge.spec.learn,
        arp_term: bridge.spec.arp_term,
        arp_ufwd: bridge.spec.arp_ufwd,
        mac_age: bridge.spec.mac_age,
        bd_tag: FixedString::truncated(&bridge.spec.tag),
        bvi_sw_if_index: index(bridge.bvi.unwrap_or(SwIfIndex::NONE)),
        uu_fwd_sw_if_index: index(bridge.uu_fwd.unwrap_or(SwIfIndex::NONE)),
        sw_if_details: bridge.members.iter().map(member).collect(),
    }
}

fn bridge_flags(flags: BdFlags) -> bridge::BridgeFlags {
    bridge::BridgeFlags {
        learn: flags.contains(BdFlags::LEARN),
        forward: flags.contains(BdFlags::FWD),
        flood: flags.contains(BdFlags::FLOOD),
        uu_flood: flags.contains(BdFlags::UU_FLOOD),
        arp_term: flags.contains(BdFlags::ARP_TERM),
        arp_ufwd: flags.contains(BdFlags::ARP_UFWD),
    }
}

fn bridge_flags_to_api(flags: bridge::BridgeFlags) -> BdFlags {
    let all = [
        (flags.learn, BdFlags::LEARN),
        (flags.forward, BdFlags::FWD),
        (flags.flood, BdFlags::FLOOD),
        (flags.uu_flood, BdFlags::UU_FLOOD),
        (flags.arp_term, BdFlags::ARP_TERM),
        (flags.arp_ufwd, BdFlags::ARP_UFWD),
    ];
    all.into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(BdFlags::EMPTY, |sum, (_, flag)| sum | flag)
}
