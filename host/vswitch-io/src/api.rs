//! VPP's binary API on top of the engine: one handler per message, one file per VPP module or family of them.
//!
//! A handler translates, calls the engine, and translates back. What a request changed is visible to the workers, and
//! to subscribers of events, before its reply is queued. Messages without a handler are absent from the message
//! table, so that clients can tell.

mod acl;
mod af_xdp;
mod classify;
mod cnat;
mod convert;
mod devices;
mod function;
mod interface;
mod ip;
mod ipip;
mod l2;
mod macip;
mod neighbor;
mod npol;
mod path_mtu;
pub(crate) mod pcap;
mod reassembly;
mod sr;
mod subif;
mod system;
pub(crate) mod trace;
mod urpf;
mod vxlan;

use vpp_api::describe::Describe;
use vpp_api::interface::SwInterfaceEvent;
use vpp_api::interface_types::IfStatusFlags;
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborEventFlags, IpNeighborEventV2};
use vpp_api::{ApiError, Dump, Event, Request};
use vpp_api_client::server::{Caller, EventSink, Router};
use vswitch::Notice;

use crate::engine::Engine;
use convert::{index, mac_to_api};

/// The table of handlers under construction.
pub(crate) struct Api {
    router: Router<Engine>,
}

/// Builds the router of a dataplane.
pub fn router() -> Router<Engine> {
    let mut api = Api {
        router: Router::new(),
    };
    system::register(&mut api);
    interface::register(&mut api);
    devices::register(&mut api);
    af_xdp::register(&mut api);
    l2::register(&mut api);
    ip::register(&mut api);
    neighbor::register(&mut api);
    path_mtu::register(&mut api);
    reassembly::register(&mut api);
    subif::register(&mut api);
    vxlan::register(&mut api);
    ipip::register(&mut api);
    urpf::register(&mut api);
    acl::register(&mut api);
    macip::register(&mut api);
    classify::register(&mut api);
    npol::register(&mut api);
    cnat::register(&mut api);
    sr::register(&mut api);
    pcap::register(&mut api);
    function::register(&mut api);
    trace::register(&mut api);
    api.router
}

impl Api {
    /// Handles a request that changes or asks something.
    fn on<M, R>(
        &mut self,
        mut handler: impl FnMut(&mut Engine, M) -> Result<R, ApiError> + Send + 'static,
    ) -> &mut Self
    where
        M: Request + Describe,
        R: Into<M::Reply>,
    {
        self.router.on::<M, R>(move |engine, request, caller| {
            let outcome = handler(engine, request);
            settle(engine, caller);
            outcome
        });
        self
    }

    /// Handles a request whose `work` takes long, on a thread of its own; [`Router::on_slow`].
    fn on_slow<M, W, T>(
        &mut self,
        mut prepare: impl FnMut(&mut Engine, M) -> Result<W, ApiError> + Send + 'static,
        work: impl FnMut(W) -> T + Send + 'static,
        finish: impl Fn(&mut Engine, T) -> Result<M::Reply, ApiError> + Send + Sync + 'static,
    ) -> &mut Self
    where
        M: Request + Describe,
        W: Send + 'static,
        T: Send + 'static,
    {
        self.router.on_slow::<M, W, T>(
            move |engine, request| prepare(engine, request),
            work,
            move |engine, done, caller| {
                let outcome = finish(engine, done);
                settle(engine, caller);
                outcome
            },
        );
        self
    }

    /// Handles a dump.
    fn on_dump<M: Dump + Describe>(
        &mut self,
        mut handler: impl FnMut(&Engine, M) -> Vec<M::Details> + Send + 'static,
    ) -> &mut Self {
        self.router.on_dump::<M>(move |engine, request, out| {
            for details in handler(engine, request) {
                out.send(&details);
            }
        });
        self
    }
}

/// Where events go.
pub trait Publish {
    /// Sends an event to its subscribers.
    fn publish<E: Event>(&mut self, event: impl Fn(u32) -> E);
}

impl Publish for Caller<'_> {
    fn publish<E: Event>(&mut self, event: impl Fn(u32) -> E) {
        Caller::publish(self, event);
    }
}

impl Publish for EventSink<'_> {
    fn publish<E: Event>(&mut self, event: impl Fn(u32) -> E) {
        EventSink::publish(self, event);
    }
}

/// Makes changes visible to workers and subscribers.
pub fn settle(engine: &mut Engine, sink: &mut impl Publish) {
    engine.commit();
    while let Some(notice) = engine.dataplane.poll_notice() {
        match notice {
            Notice::InterfaceFlags {
                sw_if_index,
                admin_up,
                link_up,
            } => {
                let flags = interface::status(admin_up, link_up);
                let sw_if_index = index(sw_if_index);
                sink.publish(|pid| SwInterfaceEvent {
                    pid,
                    sw_if_index,
                    flags,
                    deleted: false,
                });
            }
            Notice::InterfaceDeleted { sw_if_index } => {
                let (sw_if_index, flags) = (index(sw_if_index), IfStatusFlags::EMPTY);
                sink.publish(|pid| SwInterfaceEvent {
                    pid,
                    sw_if_index,
                    flags,
                    deleted: true,
                });
            }
            Notice::NeighborAdded {
                sw_if_index,
                ip,
                mac,
            } => {
                let flags = IpNeighborEventFlags::ADDED;
                let neighbor = neighbor_of(sw_if_index, ip, mac);
                sink.publish(|pid| IpNeighborEventV2 {
                    pid,
                    flags,
                    neighbor,
                });
            }
            Notice::NeighborRemoved {
                sw_if_index,
                ip,
                mac,
            } => {
                let flags = IpNeighborEventFlags::REMOVED;
                let neighbor = neighbor_of(sw_if_index, ip, mac);
                sink.publish(|pid| IpNeighborEventV2 {
                    pid,
                    flags,
                    neighbor,
                });
            }
        }
    }
}

fn neighbor_of(
    sw_if_index: vswitch::SwIfIndex,
    ip: std::net::IpAddr,
    mac: vswitch::MacAddr,
) -> IpNeighbor {
    IpNeighbor {
        sw_if_index: index(sw_if_index),
        mac_address: mac_to_api(mac),
        ip_address: ip,
        ..IpNeighbor::default()
    }
}
