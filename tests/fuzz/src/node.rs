//! Frames through a node that has something configured of everything.

use sim::generate::basis;
use sim::step::Change;
use sim::switch::Switch;
use sim::world;
use vswitch::Family;
use vswitch::acl::{AclAction, AclRule};
use vswitch::route::RoutePath;
use vswitch::{Prefix, SwIfIndex};

/// Frames of one input at most.
const FRAMES_MAX: usize = 16;

fn node() -> Switch {
    let mut switch = Switch::new().expect("the world is legal");
    let rules = vec![
        AclRule {
            proto: 17,
            ..AclRule::any(AclAction::Permit, Family::V4)
        },
        AclRule::any(AclAction::Permit, Family::V6),
    ];
    let via = |on| RoutePath::via(world::host(on, 0, Family::V4), SwIfIndex(on));
    let extra = [
        Change::Acl(0, rules),
        Change::AclApply(4, vec![0], vec![0]),
        Change::AbfPolicy {
            id: 0,
            acl: 0,
            paths: vec![via(2)],
            is_add: true,
        },
        Change::AbfAttach {
            id: 0,
            on: 1,
            priority: 0,
            family: Family::V4,
            is_add: true,
        },
        Change::Route {
            table: 0,
            prefix: Prefix {
                addr: [20, 0, 0, 0].into(),
                len: 8,
            },
            paths: vec![via(2), via(3)],
            is_add: true,
            is_multipath: false,
        },
    ];
    for change in basis().iter().chain(&extra) {
        switch.change(change).expect("the configuration is legal");
    }
    switch
}

/// Records of `{device, length / 4, bytes}`.
pub(crate) fn run(mut bytes: &[u8]) {
    let mut switch = node();
    for _ in 0..FRAMES_MAX {
        let [device, quarter, rest @ ..] = bytes else {
            return;
        };
        let on = u32::from(*device) % world::UPLINK + 1;
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(*quarter) * 4));
        bytes = rest;
        let seen = switch.receive_bytes(on, frame).expect("one frame fits");
        let (sent, drops) = (seen.sent.len() as u64, seen.drops.values().sum::<u64>());
        assert!(sent + drops > 0, "a frame vanished");
    }
}
