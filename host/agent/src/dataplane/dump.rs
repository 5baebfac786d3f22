//! What the dataplane is, read back and named as `render` names it. Foreign objects are left out.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use render::object::TAG_PREFIX;
use render::{AclTag, Device, IfTag, Key, L2, Object, Objects};
use vpp_api::abf::{AbfItfAttachDump, AbfPolicyDump};
use vpp_api::acl::{AclDump, AclInterfaceListDump};
use vpp_api::af_packet::{AfPacketDetails, AfPacketDump};
use vpp_api::interface::{SwInterfaceDetails, SwInterfaceDump};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{IpAddressDump, IpRouteDetails, IpRouteDump, IpTable, IpUnnumberedDump};
use vpp_api::ip_neighbor::{IpNeighborDetails, IpNeighborDump, IpNeighborFlags};
use vpp_api::ip_types::AddressFamily;
use vpp_api::l2::{BridgeDomainDetails, BridgeDomainDump, L2FibTableDump, L2XconnectDump};
use vpp_api::memif::{MemifDetails, MemifDump, MemifRole, MemifSocketFilenameDump};
use vpp_api::tapv2::{SwInterfaceTapV2Details, SwInterfaceTapV2Dump};
use vpp_api::vxlan::{VxlanTunnelV2Details, VxlanTunnelV2Dump};
use vpp_api_client::{Client, RequestError};

use super::convert::{mac_of, net_of, next_hop, rule_of};
use super::{Dump, Indices};

/// Reads everything back. Two volleys: all kinds at once, then addresses and MAC tables by owner.
pub(super) async fn dump(client: &Client) -> Result<(Dump, Indices), RequestError> {
    let all = InterfaceIndex::NONE;
    let interfaces_dump = SwInterfaceDump::default();
    let (taps_dump, vxlan_dump) = (
        SwInterfaceTapV2Dump::default(),
        VxlanTunnelV2Dump { sw_if_index: all },
    );
    let acl_dump = AclDump {
        acl_index: u32::MAX,
    };
    let devices = futures::future::try_join4(
        client.dump(&taps_dump),
        client.dump(&MemifDump {}),
        client.dump(&AfPacketDump {}),
        client.dump(&vxlan_dump),
    );
    let (interfaces, devices, sockets, acls) = futures::try_join!(
        client.dump(&interfaces_dump),
        devices,
        client.dump(&MemifSocketFilenameDump {}),
        client.dump(&acl_dump),
    )?;
    let mut reading = Reading::default();
    for (id, path) in sockets
        .iter()
        .map(|s| (s.socket_id, s.socket_filename.as_str()))
    {
        // Socket 0 is VPP's own.
        if id != 0 {
            let path = path.to_owned();
            reading
                .dump
                .objects
                .insert(Key::MemifSocket(id), Object::MemifSocket { path });
        }
    }
    let mut devices = by_index(&interfaces, &devices);
    for details in &interfaces {
        reading.interface(details, &mut devices);
    }
    for acl in &acls {
        reading.acl(acl);
    }
    reading.read_l2_and_l3(client).await?;
    Ok((reading.dump, reading.indices))
}

type Devices = (
    Vec<SwInterfaceTapV2Details>,
    Vec<MemifDetails>,
    Vec<AfPacketDetails>,
    Vec<VxlanTunnelV2Details>,
);

/// Every device by the index of its interface.
fn by_index(
    interfaces: &[SwInterfaceDetails],
    (taps, memifs, packets, tunnels): &Devices,
) -> BTreeMap<u32, Device> {
    let macs: BTreeMap<u32, _> = interfaces
        .iter()
        .map(|i| (i.sw_if_index.0, mac_of(i.l2_address)))
        .collect();
    let mac = |index: u32| macs.get(&index).copied().unwrap_or_default();
    let mut devices = BTreeMap::new();
    devices.extend(taps.iter().map(|tap| {
        let device = Device::Tap {
            netns: tap.host_namespace.as_str().to_owned(),
            host_name: tap.host_if_name.as_str().to_owned(),
            host_mac: mac_of(tap.host_mac_addr),
            mac: mac(tap.sw_if_index),
            mtu: u16::try_from(tap.host_mtu_size).unwrap_or(u16::MAX),
        };
        (tap.sw_if_index, device)
    }));
    devices.extend(memifs.iter().map(|memif| {
        let device = Device::Memif {
            socket: memif.socket_id,
            id: memif.id,
            is_master: memif.role == MemifRole::Master,
            mac: mac_of(memif.hw_addr),
        };
        (memif.sw_if_index.0, device)
    }));
    devices.extend(packets.iter().map(|packet| {
        let host_name = packet.host_if_name.as_str().to_owned();
        let index = packet.sw_if_index.0;
        (
            index,
            Device::AfPacket {
                host_name,
                mac: mac(index),
            },
        )
    }));
    devices.extend(tunnels.iter().map(|tunnel| {
        let (src, dst, vni) = (tunnel.src_address, tunnel.dst_address, tunnel.vni);
        (tunnel.sw_if_index.0, Device::Vxlan { src, dst, vni })
    }));
    devices
}

#[derive(Default)]
struct Reading {
    dump: Dump,
    indices: Indices,
    /// The same as in `indices`, the other way round.
    tags: BTreeMap<u32, IfTag>,
    acl_tags: BTreeMap<u32, AclTag>,
}

impl Reading {
    fn put(&mut self, key: Key, object: Object) {
        self.dump.objects.insert(key, object);
    }

    fn interface(&mut self, details: &SwInterfaceDetails, devices: &mut BTreeMap<u32, Device>) {
        let index = details.sw_if_index.0;
        let name = details.interface_name.as_str();
        let loopback = || {
            let instance = name.strip_prefix("loop")?.parse().ok()?;
            Some(Device::Loopback {
                instance,
                mac: mac_of(details.l2_address),
            })
        };
        let Some(device) = devices.remove(&index).or_else(loopback) else {
            return;
        };
        let Some(tag) = IfTag::parse(details.tag.as_str()) else {
            if details.tag.as_str().is_empty() {
                self.dump.untagged.push(device.clone());
                self.indices.untagged.push((device, index));
            }
            return;
        };
        if details.flags.contains(IfStatusFlags::LINK_UP) {
            self.dump.links_up.insert(tag.clone());
        }
        let up = details.flags.contains(IfStatusFlags::ADMIN_UP);
        self.put(
            Key::Interface(tag.clone()),
            Object::Interface {
                device,
                up,
                tagged: true,
            },
        );
        self.dump.names.insert(tag.clone(), name.to_owned());
        self.tags.insert(index, tag.clone());
        self.indices.interfaces.insert(tag, index);
    }

    fn acl(&mut self, acl: &vpp_api::acl::AclDetails) {
        let Some(tag) = AclTag::parse(acl.tag.as_str()) else {
            return;
        };
        let rules = acl.r.iter().filter_map(rule_of).collect();
        self.put(Key::Acl(tag.clone()), Object::Acl { rules });
        self.acl_tags.insert(acl.acl_index, tag.clone());
        self.indices.acls.insert(tag, acl.acl_index);
    }

    async fn read_l2_and_l3(&mut self, client: &Client) -> Result<(), RequestError> {
        let route_table = |is_ip6| IpRouteDump {
            table: IpTable {
                is_ip6,
                ..IpTable::default()
            },
        };
        let neighbours = |af| IpNeighborDump {
            sw_if_index: InterfaceIndex::NONE,
            af,
        };
        let (routes4, routes6) = (route_table(false), route_table(true));
        let (near4, near6) = (
            neighbours(AddressFamily::Ip4),
            neighbours(AddressFamily::Ip6),
        );
        let bindings_dump = AclInterfaceListDump::default();
        let (bridges_dump, lenders_dump) =
            (BridgeDomainDump::default(), IpUnnumberedDump::default());
        let l2 = futures::future::try_join3(
            client.dump(&bridges_dump),
            client.dump(&L2XconnectDump {}),
            client.dump(&lenders_dump),
        );
        let acl = futures::future::try_join3(
            client.dump(&bindings_dump),
            client.dump(&AbfPolicyDump {}),
            client.dump(&AbfItfAttachDump {}),
        );
        let (l2, acl, routes4, routes6, near4, near6) = futures::try_join!(
            l2,
            acl,
            client.dump(&routes4),
            client.dump(&routes6),
            client.dump(&near4),
            client.dump(&near6),
        )?;
        let (bridges, xconnects, unnumbered) = l2;
        for pair in &xconnects {
            let (rx, tx) = (pair.rx_sw_if_index.0, pair.tx_sw_if_index.0);
            if let (Some(rx), Some(to)) = (self.tag(rx), self.tag(tx)) {
                self.put(Key::L2(rx), Object::L2(L2::Xconnect { to }));
            }
        }
        for pair in &unnumbered {
            let (index, lender) = (pair.sw_if_index.0, pair.ip_sw_if_index.0);
            if let (Some(tag), Some(lender)) = (self.tag(index), self.tag(lender)) {
                self.put(Key::Unnumbered(tag), Object::Unnumbered { lender });
            }
        }
        near4
            .iter()
            .chain(&near6)
            .for_each(|near| self.neighbour(near));
        routes4
            .iter()
            .chain(&routes6)
            .for_each(|route| self.route(route));
        let (bindings, policies, attachments) = acl;
        self.acl_users(&bindings, &policies, &attachments);
        self.read_by_owner(client, &bridges).await
    }

    fn tag(&self, index: u32) -> Option<IfTag> {
        self.tags.get(&index).cloned()
    }

    fn neighbour(&mut self, details: &IpNeighborDetails) {
        let near = &details.neighbor;
        if !near.flags.contains(IpNeighborFlags::STATIC) {
            return;
        }
        if let Some(tag) = self.tag(near.sw_if_index.0) {
            let mac = mac_of(near.mac_address);
            self.put(
                Key::Neighbour(tag, near.ip_address),
                Object::Neighbour { mac },
            );
        }
    }

    /// Routes to a next hop on an interface of ours. Those that come with a neighbour of that very
    /// address look the same as a route of ours and do the same.
    fn route(&mut self, details: &IpRouteDetails) {
        let route = &details.route;
        let (Some(net), [path]) = (net_of(route.prefix), route.paths.as_slice()) else {
            return;
        };
        let Some((next_hop, index)) = next_hop(path) else {
            return;
        };
        if let Some(interface) = self.tag(index) {
            self.put(
                Key::Route(net),
                Object::Route {
                    next_hop,
                    interface,
                },
            );
        }
    }

    fn acl_users(
        &mut self,
        bindings: &[vpp_api::acl::AclInterfaceListDetails],
        policies: &[vpp_api::abf::AbfPolicyDetails],
        attachments: &[vpp_api::abf::AbfItfAttachDetails],
    ) {
        for list in bindings {
            let Some(tag) = self.tag(list.sw_if_index.0) else {
                continue;
            };
            for index in list.acls.iter().take(usize::from(list.n_input)) {
                if let Some(acl) = self.acl_tags.get(index).cloned() {
                    self.put(Key::AclBinding(tag.clone(), acl), Object::AclBinding);
                }
            }
        }
        for details in policies {
            let policy = &details.policy;
            let acl = self.acl_tags.get(&policy.acl_index).cloned();
            let path = policy.paths.first().and_then(next_hop);
            let path = path.and_then(|(next_hop, index)| Some((next_hop, self.tag(index)?)));
            if let (Some(acl), Some((next_hop, interface))) = (acl, path) {
                let object = Object::Policy {
                    acl,
                    next_hop,
                    interface,
                };
                self.put(Key::Policy(policy.policy_id), object);
            }
        }
        for details in attachments {
            let attach = &details.attach;
            let (priority, is_ipv6) = (attach.priority, attach.is_ipv6);
            let is_ours = self
                .dump
                .objects
                .contains_key(&Key::Policy(attach.policy_id));
            if let Some(tag) = self.tag(attach.sw_if_index.0).filter(|_| is_ours) {
                let object = Object::PolicyBinding { priority, is_ipv6 };
                self.put(Key::PolicyBinding(attach.policy_id, tag), object);
            }
        }
    }

    async fn read_by_owner(
        &mut self,
        client: &Client,
        bridges: &[BridgeDomainDetails],
    ) -> Result<(), RequestError> {
        let ours: Vec<_> = bridges
            .iter()
            .filter(|b| b.bd_tag.as_str().starts_with(TAG_PREFIX))
            .collect();
        let borrows =
            |objects: &Objects, tag: &IfTag| objects.contains_key(&Key::Unnumbered(tag.clone()));
        let owners: Vec<(u32, IfTag)> = self
            .tags
            .iter()
            .filter(|(_, tag)| !borrows(&self.dump.objects, tag))
            .map(|(index, tag)| (*index, tag.clone()))
            .collect();
        let address_dumps: Vec<IpAddressDump> = owners
            .iter()
            .flat_map(|(index, _)| {
                [false, true].map(|is_ipv6| IpAddressDump {
                    sw_if_index: InterfaceIndex(*index),
                    is_ipv6,
                })
            })
            .collect();
        let fib_dumps: Vec<L2FibTableDump> = ours
            .iter()
            .map(|b| L2FibTableDump { bd_id: b.bd_id })
            .collect();
        let (addresses, fibs) = futures::try_join!(
            try_join_all(address_dumps.iter().map(|d| client.dump(d))),
            try_join_all(fib_dumps.iter().map(|d| client.dump(d))),
        )?;
        for details in addresses.iter().flatten() {
            let tag = self.tag(details.sw_if_index.0);
            if let (Some(tag), Some(net)) = (tag, net_of(details.prefix.0)) {
                self.put(Key::Address(tag, net), Object::Address);
            }
        }
        for bridge in ours {
            self.bridge(bridge);
        }
        for entry in fibs.iter().flatten().filter(|e| e.static_mac && !e.bvi_mac) {
            if let Some(interface) = self.tag(entry.sw_if_index.0) {
                let key = Key::MacEntry(entry.bd_id, mac_of(entry.mac));
                self.put(key, Object::MacEntry { interface });
            }
        }
        Ok(())
    }

    fn bridge(&mut self, bridge: &BridgeDomainDetails) {
        let tag = bridge.bd_tag.as_str().to_owned();
        self.put(Key::Bridge(bridge.bd_id), Object::Bridge { tag });
        for member in &bridge.sw_if_details {
            let index = member.sw_if_index;
            if let Some(tag) = self.tag(index.0) {
                let is_bvi = index == bridge.bvi_sw_if_index;
                let l2 = L2::Bridge {
                    id: bridge.bd_id,
                    is_bvi,
                    group: member.shg,
                };
                self.put(Key::L2(tag), Object::L2(l2));
            }
        }
    }
}
