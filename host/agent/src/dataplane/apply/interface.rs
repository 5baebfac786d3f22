//! Interfaces: how each kind of device is made, set up and removed.

use render::{Device, IfTag, Key, Op};
use vpp_api::af_packet::{AfPacketCreateV3, AfPacketDelete, AfPacketFlags, AfPacketMode};
use vpp_api::interface::{
    CreateLoopbackInstance, DeleteLoopback, SwInterfaceSetFlags, SwInterfaceTagAddDel,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::memif::{MemifCreateV2, MemifDelete, MemifMode, MemifRole};
use vpp_api::tapv2::{TapCreateV3, TapDeleteV2, TapFlags};
use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vpp_api_client::Client;

use super::{Done, OpError, ask, drop_it, fixed, index_of};
use crate::dataplane::Indices;
use crate::dataplane::convert::mac;

pub(super) async fn create(
    client: &Client,
    tag: &IfTag,
    device: &Device,
) -> Result<InterfaceIndex, OpError> {
    Ok(match device {
        Device::Loopback {
            instance,
            mac: address,
        } => {
            let request = CreateLoopbackInstance {
                mac_address: mac(*address),
                is_specified: true,
                user_instance: *instance,
            };
            client.request(&request).await?.sw_if_index
        }
        Device::Tap {
            netns,
            host_name,
            host_mac,
            mac: address,
            mtu,
        } => {
            let request = TapCreateV3 {
                use_random_mac: false,
                mac_address: mac(*address),
                host_mtu_set: true,
                host_mtu_size: u32::from(*mtu),
                host_mac_addr_set: true,
                host_mac_addr: mac(*host_mac),
                tap_flags: TapFlags::GSO | TapFlags::CSUM_OFFLOAD | TapFlags::PERSIST,
                host_namespace_set: true,
                host_namespace: fixed(netns)?,
                host_if_name_set: true,
                host_if_name: fixed(host_name)?,
                tag: tag.as_str().to_owned(),
                ..TapCreateV3::default()
            };
            client.request(&request).await?.sw_if_index
        }
        Device::Memif {
            socket,
            id,
            is_master,
            mac: address,
        } => {
            let request = MemifCreateV2 {
                role: role(*is_master),
                id: *id,
                socket_id: *socket,
                hw_addr: mac(*address),
                ..memif_defaults()
            };
            client.request(&request).await?.sw_if_index
        }
        Device::AfPacket {
            host_name,
            mac: address,
        } => {
            let request = AfPacketCreateV3 {
                mode: AfPacketMode::Ethernet,
                hw_addr: mac(*address),
                host_if_name: fixed(host_name)?,
                flags: AfPacketFlags::CKSUM_GSO,
                ..AfPacketCreateV3::default()
            };
            client.request(&request).await?.sw_if_index
        }
        Device::Vxlan { .. } => client.request(&vxlan(device, true)).await?.sw_if_index,
    })
}

const fn role(is_master: bool) -> MemifRole {
    if is_master {
        MemifRole::Master
    } else {
        MemifRole::Slave
    }
}

/// What all chain links share: one queue a direction, frames of up to 2048 bytes a buffer.
fn memif_defaults() -> MemifCreateV2 {
    MemifCreateV2 {
        mode: MemifMode::Ethernet,
        rx_queues: 1,
        tx_queues: 1,
        ring_size: 1024,
        buffer_size: 2048,
        ..MemifCreateV2::default()
    }
}

fn vxlan(device: &Device, is_add: bool) -> VxlanAddDelTunnelV3 {
    let mut request = VxlanAddDelTunnelV3 {
        is_add,
        decap_next_index: u32::MAX,
        mcast_sw_if_index: InterfaceIndex::NONE,
        ..VxlanAddDelTunnelV3::default()
    };
    if let Device::Vxlan { src, dst, vni } = device {
        (request.src_address, request.dst_address, request.vni) = (*src, *dst, *vni);
    }
    request
}

/// Tag and state of an interface that was made or found.
pub(super) async fn set_up(client: &Client, indices: &Indices, op: &Op) -> Done {
    let Key::Interface(tag) = op.key() else {
        return Ok(());
    };
    let sw_if_index = index_of(indices, tag)?;
    let tagging = SwInterfaceTagAddDel {
        is_add: true,
        sw_if_index,
        tag: fixed(tag.as_str())?,
    };
    let flags = SwInterfaceSetFlags {
        sw_if_index,
        flags: IfStatusFlags::ADMIN_UP,
    };
    let (tagged, up) = futures::join!(ask(client, tagging), ask(client, flags));
    tagged.and(up)
}

pub(super) async fn delete(client: &Client, sw_if_index: InterfaceIndex, device: &Device) -> Done {
    match device {
        Device::Loopback { .. } => drop_it(client, DeleteLoopback { sw_if_index }).await,
        Device::Tap { .. } => drop_it(client, TapDeleteV2 { sw_if_index }).await,
        Device::Memif { .. } => drop_it(client, MemifDelete { sw_if_index }).await,
        Device::AfPacket { host_name, .. } => {
            let host_if_name = fixed(host_name)?;
            drop_it(client, AfPacketDelete { host_if_name }).await
        }
        Device::Vxlan { .. } => drop_it(client, vxlan(device, false)).await,
    }
}
