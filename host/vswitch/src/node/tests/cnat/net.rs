//! Pods on two interfaces, the world on a third.

use super::*;
use crate::dataplane::flows::FlowLimits;

pub(in super::super) struct Net {
    pub(super) lab: Lab,
    pub(super) client: SwIfIndex,
    pub(super) server: SwIfIndex,
    pub(super) world: SwIfIndex,
}

/// Sets how many flows have room.
pub(super) fn limit(lab: &mut Lab, cnat: usize) {
    lab.dp.set_flow_limits(FlowLimits {
        cnat,
        ..FlowLimits::default()
    });
}

impl Net {
    pub(super) fn new(mode: Mode) -> Self {
        let mut lab = Lab::new();
        limit(&mut lab, 1000);
        let client = lab.routed("client", &["10.0.0.1/24", "2001:db8::1/64"]);
        let server = lab.routed("server", &["10.0.1.1/24", "2001:db8:1::1/64"]);
        let world = lab.routed("world", &["192.0.2.254/24", "2001:db8:2::fe/64"]);
        for (on, ip, n) in [
            (client, "10.0.0.2", 2),
            (client, "10.0.0.3", 3),
            (client, "2001:db8::2", 2),
            (server, "10.0.1.2", 12),
            (server, "10.0.1.3", 13),
            (server, "2001:db8:1::2", 12),
            (world, "192.0.2.9", 29),
            (world, "2001:db8:2::9", 29),
        ] {
            lab.neighbor(on, ip, host(n));
        }
        if mode == Mode::Feature {
            for on in [client, server, world] {
                lab.dp.feature_cnat_enable_disable(on, true).unwrap();
            }
        }
        Self {
            lab,
            client,
            server,
            world,
        }
    }

    /// The frame of an IP packet to the switch.
    pub(super) fn frame(on: SwIfIndex, packet: &[u8]) -> Vec<u8> {
        eth(crate::lab::own_mac(on), host(1), packet)
    }

    /// Sends an IP packet that must come out once; gives where, and the packet.
    pub(super) fn cross(&mut self, on: SwIfIndex, packet: &[u8]) -> (SwIfIndex, Vec<u8>) {
        let sent = self.lab.send(on, &Self::frame(on, packet));
        // A lab's second is long beside the timeouts of sessions.
        self.lab.now.0 -= 990_000_000;
        out(&sent)
    }

    /// As [`Net::cross`], and gives the flow as text.
    pub(super) fn flow(&mut self, on: SwIfIndex, packet: &[u8]) -> (SwIfIndex, String) {
        let (tx, packet) = self.cross(on, packet);
        (tx, flow(&packet))
    }

    /// Sends a packet that must not come out, and gives the drops that it added.
    pub(super) fn dropped(&mut self, on: SwIfIndex, packet: &[u8]) -> String {
        let before = self.lab.drops();
        let sent = self.lab.send(on, &Self::frame(on, packet));
        assert!(sent.is_empty(), "{sent:?}");
        let new: Vec<_> = self
            .lab
            .drops()
            .into_iter()
            .filter(|d| !before.contains(d))
            .collect();
        new.join("; ")
    }

    pub(super) fn sessions(&self) -> usize {
        let mut count = 0;
        self.lab.dp.cnat_sessions(self.lab.now, |_| count += 1);
        count
    }
}
