//! Operations as VPP requests. Three volleys, each pipelined: deletions, what gets a number from the
//! dataplane, and the rest.

use futures::future::join_all;
use render::{Device, IfTag, Key, L2, Object, Op};
use vpp_api::abf::{AbfItfAttach, AbfItfAttachAddDel, AbfPolicy, AbfPolicyAddDel};
use vpp_api::acl::{AclAddReplace, AclDel, AclInterfaceAddDel};
use vpp_api::af_packet::{AfPacketCreateV3, AfPacketDelete, AfPacketFlags, AfPacketMode};
use vpp_api::interface::{
    CreateLoopbackInstance, DeleteLoopback, SwInterfaceAddDelAddress, SwInterfaceSetFlags,
    SwInterfaceSetUnnumbered, SwInterfaceTagAddDel,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::l2::{
    BridgeDomainAddDelV2, L2PortType, L2fibAddDel, SwInterfaceSetL2Bridge, SwInterfaceSetL2Xconnect,
};
use vpp_api::memif::{
    MemifCreateV2, MemifDelete, MemifMode, MemifRole, MemifSocketFilenameAddDelV2,
};
use vpp_api::tapv2::{TapCreateV3, TapDeleteV2, TapFlags};
use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vpp_api::{ApiError, FixedString, Request};
use vpp_api_client::{Client, RequestError};

use super::Indices;
use super::convert::{mac, path, prefix, rule, with_prefix};

/// Why one operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpError {
    #[error("`{0}` is not there")]
    Absent(String),
    #[error("`{0}` is longer than the dataplane takes")]
    TooLong(String),
    #[error("{error} ({request})")]
    Refused {
        request: &'static str,
        error: ApiError,
    },
    #[error(transparent)]
    Request(RequestError),
}

impl From<RequestError> for OpError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Refused { request, error } => Self::Refused { request, error },
            other => Self::Request(other),
        }
    }
}

type Done = Result<(), OpError>;

/// Carries out `ops` and answers what failed.
pub(super) async fn apply(
    client: &Client,
    indices: &mut Indices,
    ops: &[Op],
) -> Vec<(Key, String)> {
    let mut failures = Vec::new();
    let mut note = |op: &Op, done: Done| {
        if let Err(error) = done {
            tracing::debug!(%op, %error, "operation failed");
            failures.push((op.key().clone(), error.to_string()));
        }
    };
    let (deletions, others): (Vec<_>, Vec<_>) =
        ops.iter().partition(|op| matches!(op, Op::Delete { .. }));
    let (numbered, rest): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|op| is_numbered(op.key()));

    let sent = deletions.iter().map(|op| delete(client, indices, op));
    let done = join_all(sent).await;
    for (op, done) in deletions.into_iter().zip(done) {
        if done.is_ok() {
            forget(indices, op.key());
        }
        note(op, done);
    }
    let sent = numbered.iter().map(|op| make_numbered(client, indices, op));
    let done = join_all(sent).await;
    let mut ready = Vec::new();
    for (op, done) in numbered.into_iter().zip(done) {
        match done {
            Ok(Some(number)) => {
                remember(indices, op.key(), number);
                ready.push(op);
            }
            Ok(None) => {}
            Err(error) => note(op, Err(error)),
        }
    }
    let setups = ready.iter().map(|op| set_up(client, indices, op));
    let changes = rest.iter().map(|op| put(client, indices, op));
    let (set_up, changed) = futures::join!(join_all(setups), join_all(changes));
    for (op, done) in ready
        .into_iter()
        .zip(set_up)
        .chain(rest.into_iter().zip(changed))
    {
        note(op, done);
    }
    failures
}

/// Sockets are here because interfaces need them.
const fn is_numbered(key: &Key) -> bool {
    matches!(key, Key::MemifSocket(_) | Key::Acl(_) | Key::Interface(_))
}

fn forget(indices: &mut Indices, key: &Key) {
    match key {
        Key::Interface(tag) => drop(indices.interfaces.remove(tag)),
        Key::Acl(tag) => drop(indices.acls.remove(tag)),
        _ => {}
    }
}

fn remember(indices: &mut Indices, key: &Key, number: u32) {
    match key {
        Key::Interface(tag) => drop(indices.interfaces.insert(tag.clone(), number)),
        Key::Acl(tag) => drop(indices.acls.insert(tag.clone(), number)),
        _ => {}
    }
}

fn interface(indices: &Indices, tag: &IfTag) -> Result<InterfaceIndex, OpError> {
    let index = indices.interfaces.get(tag);
    index
        .copied()
        .map(InterfaceIndex)
        .ok_or_else(|| OpError::Absent(tag.to_string()))
}

fn fixed<const N: usize>(text: &str) -> Result<FixedString<N>, OpError> {
    FixedString::new(text).map_err(|_| OpError::TooLong(text.to_owned()))
}

async fn ask<M: Request>(client: &Client, request: M) -> Done {
    client.request(&request).await?;
    Ok(())
}

/// A deletion: what is already gone is fine.
async fn drop_it<M: Request>(client: &Client, request: M) -> Done {
    let gone = [ApiError::NoSuchEntry, ApiError::InvalidSwIfIndex];
    match client.request(&request).await {
        Err(error) if error.api_error().is_some_and(|e| gone.contains(&e)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Makes or changes what the dataplane numbers; `None` where there is nothing more to set up.
async fn make_numbered(
    client: &Client,
    indices: &Indices,
    op: &Op,
) -> Result<Option<u32>, OpError> {
    let (from, to) = match op {
        Op::Create { object, .. } => (None, object),
        Op::Update { from, to, .. } => (Some(from), to),
        Op::Delete { .. } => return Ok(None),
    };
    match (op.key(), to) {
        (Key::MemifSocket(id), Object::MemifSocket { path }) => {
            let request = MemifSocketFilenameAddDelV2 {
                is_add: true,
                socket_id: *id,
                socket_filename: path.clone(),
            };
            ask(client, request).await.map(|()| None)
        }
        (Key::Acl(tag), Object::Acl { rules }) => {
            let request = AclAddReplace {
                acl_index: indices.acls.get(tag).copied().unwrap_or(u32::MAX),
                tag: fixed(tag.as_str())?,
                r: rules.iter().map(rule).collect(),
            };
            Ok(Some(client.request(&request).await?.acl_index))
        }
        (Key::Interface(tag), Object::Interface { device, .. }) => {
            if from.is_none() {
                return create(client, tag, device).await.map(|index| Some(index.0));
            }
            let tagged = indices.interfaces.get(tag).copied();
            let bare = || {
                let found = indices.untagged.iter().find(|(d, _)| d == device);
                found.map(|(_, index)| *index)
            };
            let index = tagged.or_else(bare);
            index
                .map(Some)
                .ok_or_else(|| OpError::Absent(tag.to_string()))
        }
        _ => Ok(None),
    }
}

async fn create(client: &Client, tag: &IfTag, device: &Device) -> Result<InterfaceIndex, OpError> {
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
                role: if *is_master {
                    MemifRole::Master
                } else {
                    MemifRole::Slave
                },
                mode: MemifMode::Ethernet,
                rx_queues: 1,
                tx_queues: 1,
                id: *id,
                socket_id: *socket,
                ring_size: 1024,
                buffer_size: 2048,
                hw_addr: mac(*address),
                ..MemifCreateV2::default()
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
async fn set_up(client: &Client, indices: &Indices, op: &Op) -> Done {
    let Key::Interface(tag) = op.key() else {
        return Ok(());
    };
    let sw_if_index = interface(indices, tag)?;
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

/// Makes or changes anything else.
async fn put(client: &Client, indices: &Indices, op: &Op) -> Done {
    match op {
        Op::Create { key, object }
        | Op::Update {
            key, to: object, ..
        } => set(client, indices, key, object, true).await,
        Op::Delete { .. } => Ok(()),
    }
}

async fn delete(client: &Client, indices: &Indices, op: &Op) -> Done {
    let Op::Delete { key, object } = op else {
        return Ok(());
    };
    match (key, object) {
        (Key::MemifSocket(id), Object::MemifSocket { path }) => {
            let request = MemifSocketFilenameAddDelV2 {
                is_add: false,
                socket_id: *id,
                socket_filename: path.clone(),
            };
            drop_it(client, request).await
        }
        (Key::Acl(tag), _) => {
            let index = indices.acls.get(tag).copied();
            let acl_index = index.ok_or_else(|| OpError::Absent(tag.to_string()))?;
            drop_it(client, AclDel { acl_index }).await
        }
        (Key::Interface(tag), Object::Interface { device, .. }) => {
            let sw_if_index = interface(indices, tag)?;
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
        (key, object) => set(client, indices, key, object, false).await,
    }
}

/// Everything that is made and deleted by the same request with a flag.
async fn set(client: &Client, indices: &Indices, key: &Key, object: &Object, is_add: bool) -> Done {
    match (key, object) {
        (Key::Bridge(id), Object::Bridge { tag }) => {
            let request = BridgeDomainAddDelV2 {
                bd_id: *id,
                forward: true,
                bd_tag: fixed(tag)?,
                is_add,
                ..BridgeDomainAddDelV2::default()
            };
            send(client, request, is_add).await
        }
        (Key::L2(tag), Object::L2(L2::Bridge { id, is_bvi, group })) => {
            let request = SwInterfaceSetL2Bridge {
                rx_sw_if_index: interface(indices, tag)?,
                bd_id: *id,
                port_type: if *is_bvi {
                    L2PortType::Bvi
                } else {
                    L2PortType::Normal
                },
                shg: *group,
                enable: is_add,
            };
            send(client, request, is_add).await
        }
        (Key::L2(tag), Object::L2(L2::Xconnect { to })) => {
            let request = SwInterfaceSetL2Xconnect {
                rx_sw_if_index: interface(indices, tag)?,
                tx_sw_if_index: interface(indices, to)?,
                enable: is_add,
            };
            send(client, request, is_add).await
        }
        (Key::Unnumbered(tag), Object::Unnumbered { lender }) => {
            // VPP's names are the wrong way round: `sw_if_index` lends its address.
            let request = SwInterfaceSetUnnumbered {
                sw_if_index: interface(indices, lender)?,
                unnumbered_sw_if_index: interface(indices, tag)?,
                is_add,
            };
            send(client, request, is_add).await
        }
        (Key::Address(tag, net), _) => {
            let request = SwInterfaceAddDelAddress {
                sw_if_index: interface(indices, tag)?,
                is_add,
                del_all: false,
                prefix: with_prefix(*net),
            };
            send(client, request, is_add).await
        }
        _ => set_forwarding(client, indices, key, object, is_add).await,
    }
}

async fn set_forwarding(
    client: &Client,
    indices: &Indices,
    key: &Key,
    object: &Object,
    is_add: bool,
) -> Done {
    match (key, object) {
        (Key::Neighbour(tag, ip_address), Object::Neighbour { mac: address }) => {
            let neighbor = IpNeighbor {
                sw_if_index: interface(indices, tag)?,
                flags: IpNeighborFlags::STATIC,
                mac_address: mac(*address),
                ip_address: *ip_address,
            };
            send(client, IpNeighborAddDel { is_add, neighbor }, is_add).await
        }
        (Key::MacEntry(bd_id, address), Object::MacEntry { interface: tag }) => {
            let request = L2fibAddDel {
                mac: mac(*address),
                bd_id: *bd_id,
                sw_if_index: interface(indices, tag)?,
                is_add,
                static_mac: true,
                ..L2fibAddDel::default()
            };
            send(client, request, is_add).await
        }
        (
            Key::Route(net),
            Object::Route {
                next_hop,
                interface: tag,
            },
        ) => {
            let route = IpRoute {
                prefix: prefix(*net),
                paths: vec![path(*next_hop, interface(indices, tag)?.0)],
                ..IpRoute::default()
            };
            send(
                client,
                IpRouteAddDel {
                    is_add,
                    is_multipath: false,
                    route,
                },
                is_add,
            )
            .await
        }
        (Key::AclBinding(tag, acl), _) => {
            let acl_index = indices.acls.get(acl).copied();
            let request = AclInterfaceAddDel {
                is_add,
                is_input: true,
                sw_if_index: interface(indices, tag)?,
                acl_index: acl_index.ok_or_else(|| OpError::Absent(acl.to_string()))?,
            };
            send(client, request, is_add).await
        }
        (
            Key::Policy(policy_id),
            Object::Policy {
                acl,
                next_hop,
                interface: tag,
            },
        ) => {
            let acl_index = indices.acls.get(acl).copied();
            let policy = AbfPolicy {
                policy_id: *policy_id,
                acl_index: acl_index.ok_or_else(|| OpError::Absent(acl.to_string()))?,
                paths: vec![path(*next_hop, interface(indices, tag)?.0)],
            };
            send(client, AbfPolicyAddDel { is_add, policy }, is_add).await
        }
        (Key::PolicyBinding(policy_id, tag), Object::PolicyBinding { priority, is_ipv6 }) => {
            let attach = AbfItfAttach {
                policy_id: *policy_id,
                sw_if_index: interface(indices, tag)?,
                priority: *priority,
                is_ipv6: *is_ipv6,
            };
            send(client, AbfItfAttachAddDel { is_add, attach }, is_add).await
        }
        (key, object) => unreachable!("`{key}` is no place for {object}"),
    }
}

async fn send<M: Request>(client: &Client, request: M, is_add: bool) -> Done {
    if is_add {
        ask(client, request).await
    } else {
        drop_it(client, request).await
    }
}
