//! The lab's wires: two bridges, and per node a namespace with `mgmt0` and `eth1`.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use anyhow::Context;
use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use runtime::netns::Netns;

use super::layout::{MANAGEMENT, MANAGEMENT_BRIDGE, NodeLayout, UNDERLAY_BRIDGE};

/// Frames of the underlay carry a full pod packet and its tunnel headers.
const UNDERLAY_MTU: u32 = 1600;

/// Builds everything; called once, in an empty network namespace.
pub(super) async fn build(nodes: &[NodeLayout]) -> anyhow::Result<()> {
    let root = connect(None)?;
    up(&root, "lo").await?;
    for bridge in [MANAGEMENT_BRIDGE, UNDERLAY_BRIDGE] {
        let message = LinkBridge::new(bridge).up().build();
        root.link()
            .add(message)
            .execute()
            .await
            .with_context(|| format!("add bridge `{bridge}`"))?;
    }
    let index = index(&root, MANAGEMENT_BRIDGE).await?;
    address(&root, index, MANAGEMENT.into()).await?;
    for node in nodes {
        let wires = add_node(&root, node).await;
        wires.with_context(|| format!("wire node `{}`", node.name))?;
    }
    Ok(())
}

async fn add_node(root: &Handle, node: &NodeLayout) -> anyhow::Result<()> {
    let netns = Netns::named(node.name.as_str())?;
    let inside = connect(Some(&netns))?;
    up(&inside, "lo").await?;
    for (bridge, name) in [(MANAGEMENT_BRIDGE, "mgmt0"), (UNDERLAY_BRIDGE, "eth1")] {
        let controller = index(root, bridge).await?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(name)
            .mtu(UNDERLAY_MTU)
            .setns_by_fd(netns.file().as_raw_fd())
            .build();
        let port = LinkMessageBuilder::<LinkVeth>::new(&node.port(bridge), name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .mtu(UNDERLAY_MTU)
            .controller(controller)
            .up()
            .build();
        root.link()
            .add(port)
            .execute()
            .await
            .with_context(|| format!("add link `{name}`"))?;
        // The kernel must not talk on a wire that belongs to the vswitch.
        let quiet = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        let _ = netns.run(|| std::fs::write(&quiet, "1"))?;
        up(&inside, name).await?;
    }
    let management = index(&inside, "mgmt0").await?;
    address(&inside, management, node.management_address().into()).await
}

/// Brings the loopback of `netns` up.
pub(super) async fn loopback_up(netns: &Netns) -> anyhow::Result<()> {
    up(&connect(Some(netns))?, "lo").await
}

/// A netlink socket inside `netns`; a socket stays in the namespace in which it was opened.
fn connect(netns: Option<&Netns>) -> anyhow::Result<Handle> {
    let runtime = tokio::runtime::Handle::current();
    let open = || {
        let _guard = runtime.enter();
        rtnetlink::new_connection()
    };
    let opened = match netns {
        Some(netns) => netns.run(open)?,
        None => open(),
    };
    let (connection, handle, _) = opened.context("open a netlink socket")?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn up(handle: &Handle, name: &str) -> anyhow::Result<()> {
    let index = index(handle, name).await?;
    let message = LinkUnspec::new_with_index(index).up().build();
    handle
        .link()
        .set(message)
        .execute()
        .await
        .with_context(|| format!("set link `{name}` up"))
}

async fn index(handle: &Handle, name: &str) -> anyhow::Result<u32> {
    let mut found = handle.link().get().match_name(name.to_owned()).execute();
    let link = found
        .try_next()
        .await
        .with_context(|| format!("find link `{name}`"))?;
    Ok(link
        .with_context(|| format!("link `{name}` is missing"))?
        .header
        .index)
}

async fn address(handle: &Handle, index: u32, address: IpAddr) -> anyhow::Result<()> {
    let request = handle.address().add(index, address, 24).execute();
    request
        .await
        .with_context(|| format!("add address `{address}`"))
}
