//! The Linux side of a pod's interfaces, over netlink sockets that were opened in its namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::path::Path;

use futures::TryStreamExt;
use model::{InterfaceKind, MacAddr};
use render::pod::{GATEWAY4, GATEWAY6, gateway_for, veth_name};
use render::{LocalPod, PodInterface};
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use runtime::netns::{Netns, NetnsError};

/// Why the Linux side is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinuxError {
    #[error(transparent)]
    Netns(#[from] NetnsError),
    #[error("open a netlink socket")]
    Netlink(#[source] std::io::Error),
    #[error("interface `{0}` exists already")]
    Taken(String),
    #[error("interface `{0}` is missing")]
    Missing(String),
    #[error("interface `{name}` {what}")]
    Wrong { name: String, what: String },
    #[error("{what} of interface `{name}`")]
    Kernel {
        what: &'static str,
        name: String,
        #[source]
        source: rtnetlink::Error,
    },
}

/// An open namespace, with a netlink socket inside.
pub(crate) struct Sandbox {
    netns: Netns,
    netlink: Handle,
}

impl Sandbox {
    /// Opens the namespace at `path`.
    pub(crate) async fn open(path: &str) -> Result<Self, LinuxError> {
        let netns = Netns::open(Path::new(path))?;
        let driver = tokio::runtime::Handle::current();
        // Entering takes a thread of its own, so this one waits.
        let opened = tokio::task::spawn_blocking(move || {
            let connection = netns.run(|| {
                let _in_runtime = driver.enter();
                rtnetlink::new_connection()
            })?;
            Ok::<_, NetnsError>((netns, connection))
        });
        let (netns, connection) = match opened.await {
            Ok(opened) => opened?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let (connection, netlink, _) = connection.map_err(LinuxError::Netlink)?;
        tokio::spawn(connection);
        Ok(Self { netns, netlink })
    }

    /// Makes sure that none of `names` is taken.
    pub(crate) async fn require_free(&self, names: &[&str]) -> Result<(), LinuxError> {
        for name in names {
            if self.link(name).await?.is_some() {
                return Err(LinuxError::Taken((*name).to_owned()));
            }
        }
        Ok(())
    }

    async fn link(&self, name: &str) -> Result<Option<LinkMessage>, LinuxError> {
        find(&self.netlink, name).await
    }

    async fn index(&self, name: &str) -> Result<u32, LinuxError> {
        let link = self.link(name).await?;
        let link = link.ok_or_else(|| LinuxError::Missing(name.to_owned()))?;
        Ok(link.header.index)
    }

    /// Makes the veth pair of an interface: one end here, the other on the host.
    pub(crate) async fn add_veth(
        &self,
        host: &Handle,
        container_id: &str,
        name: &str,
        mtu: u16,
    ) -> Result<(), LinuxError> {
        let outer = veth_name(container_id, name);
        let (mac, _) = render::pod::macs(container_id, name);
        let peer = format!("{outer}p");
        let wrong = |what| kernel(what, name);
        let pair = LinkVeth::new(&outer, &peer).build();
        host.link()
            .add(pair)
            .execute()
            .await
            .map_err(wrong("creation"))?;
        let index = |link: Option<LinkMessage>| {
            link.map(|l| l.header.index)
                .ok_or_else(|| LinuxError::Missing(outer.clone()))
        };
        let outer_index = index(find(host, &outer).await?)?;
        let peer_index = index(find(host, &peer).await?)?;
        let up = LinkUnspec::new_with_index(outer_index)
            .mtu(mtu.into())
            .up()
            .build();
        host.link()
            .set(up)
            .execute()
            .await
            .map_err(wrong("state"))?;
        let inner = LinkUnspec::new_with_index(peer_index)
            .name(name)
            .address(mac.0.to_vec())
            .mtu(mtu.into())
            .setns_by_fd(self.netns.file().as_raw_fd())
            .build();
        host.link()
            .set(inner)
            .execute()
            .await
            .map_err(wrong("namespace"))
    }

    /// Gives an interface its addresses and, with `is_default`, the routes of the pod.
    pub(crate) async fn configure(
        &self,
        interface: &PodInterface,
        is_default: bool,
    ) -> Result<(), LinuxError> {
        let name = interface.name.as_str();
        let wrong = |what| kernel(what, name);
        let index = self.index(name).await?;
        let up = LinkUnspec::new_with_index(index).up().build();
        self.netlink
            .link()
            .set(up)
            .execute()
            .await
            .map_err(wrong("state"))?;
        for address in &interface.addresses {
            let len = if address.is_ipv4() { 32 } else { 128 };
            let add = self.netlink.address().add(index, *address, len).replace();
            add.execute().await.map_err(wrong("address"))?;
            let gateway = gateway_for(*address);
            let neighbour = self
                .netlink
                .neighbours()
                .add(index, gateway)
                .link_layer_address(&interface.gateway_mac.0)
                .state(NeighbourState::Permanent)
                .replace();
            neighbour.execute().await.map_err(wrong("gateway"))?;
            if is_default {
                self.route(index, gateway).await.map_err(wrong("route"))?;
            }
        }
        Ok(())
    }

    async fn route(&self, index: u32, gateway: IpAddr) -> Result<(), rtnetlink::Error> {
        let routes = match gateway {
            IpAddr::V4(gateway) => {
                let to = RouteMessageBuilder::<Ipv4Addr>::new;
                let link = to()
                    .destination_prefix(GATEWAY4, 32)
                    .scope(RouteScope::Link);
                let default = to().gateway(gateway);
                [
                    link.output_interface(index).build(),
                    default.output_interface(index).build(),
                ]
            }
            IpAddr::V6(gateway) => {
                let to = RouteMessageBuilder::<Ipv6Addr>::new;
                let link = to().destination_prefix(GATEWAY6, 128);
                let default = to().gateway(gateway);
                [
                    link.output_interface(index).build(),
                    default.output_interface(index).build(),
                ]
            }
        };
        for route in routes {
            self.netlink.route().add(route).replace().execute().await?;
        }
        Ok(())
    }

    /// Compares the interfaces of an attachment and the addresses that the runtime was told.
    pub(crate) async fn check(
        &self,
        interfaces: &[&PodInterface],
        told: &[String],
    ) -> Result<(), LinuxError> {
        let mut present = Vec::new();
        for interface in interfaces {
            if interface.kind == InterfaceKind::Memif {
                continue;
            }
            let name = &interface.name;
            let link = self.link(name).await?;
            let link = link.ok_or_else(|| LinuxError::Missing(name.clone()))?;
            let mac = mac_of(&link);
            if mac != Some(interface.mac) {
                let what = format!("has not the address {}", interface.mac);
                return Err(LinuxError::Wrong {
                    name: name.clone(),
                    what,
                });
            }
            present.extend(self.addresses(name, link.header.index).await?);
        }
        let told = told
            .iter()
            .filter_map(|text| text.split('/').next()?.parse().ok());
        let kept = interfaces.iter().flat_map(|i| i.addresses.iter().copied());
        for address in told.chain(kept) {
            if !present.contains(&address) {
                let name = interfaces
                    .first()
                    .map(|i| i.name.clone())
                    .unwrap_or_default();
                let what = format!("has lost address {address}");
                return Err(LinuxError::Wrong { name, what });
            }
        }
        Ok(())
    }

    async fn addresses(&self, name: &str, index: u32) -> Result<Vec<IpAddr>, LinuxError> {
        let request = self.netlink.address().get().set_link_index_filter(index);
        let found: Vec<_> = request
            .execute()
            .try_collect()
            .await
            .map_err(kernel("addresses", name))?;
        let attributes = found.iter().flat_map(|message| &message.attributes);
        let addresses = attributes.filter_map(|attribute| {
            if let AddressAttribute::Address(address) = attribute {
                Some(*address)
            } else {
                None
            }
        });
        Ok(addresses.collect())
    }

    /// Removes an interface; absent is fine.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), LinuxError> {
        remove(&self.netlink, name).await
    }
}

/// A netlink socket in the agent's own namespace.
pub(crate) fn host() -> Result<Handle, LinuxError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(LinuxError::Netlink)?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Removes an interface; absent is fine.
pub(crate) async fn remove(netlink: &Handle, name: &str) -> Result<(), LinuxError> {
    let Some(link) = find(netlink, name).await? else {
        return Ok(());
    };
    let deletion = netlink.link().del(link.header.index).execute().await;
    deletion.map_err(kernel("removal", name))
}

/// Interfaces of `pod` that came with the attachment `ifname`.
pub(crate) fn attached_by<'a>(pod: &'a LocalPod, ifname: &str) -> Vec<&'a PodInterface> {
    pod.interfaces
        .iter()
        .filter(|i| i.attached_by == ifname)
        .collect()
}

/// The link called `name`, in the namespace of `netlink`.
pub(crate) async fn find(netlink: &Handle, name: &str) -> Result<Option<LinkMessage>, LinuxError> {
    let mut found = Box::pin(netlink.link().get().match_name(name.to_owned()).execute());
    match found.try_next().await {
        Ok(link) => Ok(link),
        Err(rtnetlink::Error::NetlinkError(error))
            if error.raw_code() == -(nix::errno::Errno::ENODEV as i32) =>
        {
            Ok(None)
        }
        Err(source) => Err(kernel("look-up", name)(source)),
    }
}

pub(crate) fn name_of(link: &LinkMessage) -> Option<&str> {
    let mut attributes = link.attributes.iter();
    attributes.find_map(|attribute| {
        if let LinkAttribute::IfName(name) = attribute {
            Some(name.as_str())
        } else {
            None
        }
    })
}

fn mac_of(link: &LinkMessage) -> Option<MacAddr> {
    link.attributes.iter().find_map(|attribute| {
        if let LinkAttribute::Address(octets) = attribute {
            octets.as_slice().try_into().ok().map(MacAddr)
        } else {
            None
        }
    })
}

fn kernel(what: &'static str, name: &str) -> impl Fn(rtnetlink::Error) -> LinuxError {
    let name = name.to_owned();
    move |source| LinuxError::Kernel {
        what,
        name: name.clone(),
        source,
    }
}
