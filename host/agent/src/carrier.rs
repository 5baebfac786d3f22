//! Watches whether the uplink has a link to the network: neither VPP's nor our host interfaces tell.

use std::time::Duration;

use futures::StreamExt;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};

use crate::event::{Event, Events};
use crate::linux;

/// Before the kernel is asked anew, when its messages were lost.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the agent of every change; ends with it.
pub(crate) fn spawn(interface: String, events: Events) {
    tokio::spawn(async move {
        while !events.is_closed() {
            if let Err(problem) = watch(&interface, &events).await {
                tracing::warn!(interface, %problem, "the uplink is not watched now");
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

async fn watch(interface: &str, events: &Events) -> Result<(), linux::LinuxError> {
    let opened = rtnetlink::new_multicast_connection(&[MulticastGroup::Link]);
    let (connection, handle, mut messages) = opened.map_err(linux::LinuxError::Netlink)?;
    tokio::spawn(connection);
    let link = linux::find(&handle, interface).await?;
    let mut index = link.as_ref().map(|l| l.header.index);
    let mut is_up = link.as_ref().is_some_and(has_carrier);
    loop {
        if events.send(Event::Carrier { is_up }).await.is_err() {
            return Ok(());
        }
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = events.closed() => None,
            };
            let Some((message, _)) = message else {
                return Ok(());
            };
            let NetlinkPayload::InnerMessage(message) = message.payload else {
                continue;
            };
            let now = if let RouteNetlinkMessage::NewLink(link) = &message
                && linux::name_of(link) == Some(interface)
            {
                index = Some(link.header.index);
                has_carrier(link)
            } else if let RouteNetlinkMessage::DelLink(link) = &message
                && Some(link.header.index) == index
            {
                false
            } else {
                continue;
            };
            if now != is_up {
                is_up = now;
                break;
            }
        }
    }
}

/// Administratively up, and so is what is at the other end.
fn has_carrier(link: &LinkMessage) -> bool {
    link.header
        .flags
        .contains(LinkFlags::Up | LinkFlags::LowerUp)
}
