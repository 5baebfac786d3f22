//! Policies and what a worker remembers of the flows that passed a moment ago.

use super::*;
use std::cell::Cell;
use std::rc::Rc;

use crate::Nanos;
use crate::function::{HookFault, Job, PacketHook, Ruling, Side};
use crate::graph::NodeId;

/// Packets that follow each other within a tick.
fn world() -> World {
    let mut world = World::new();
    world.lab.step = 1_000_000;
    world
}

/// What most packets of a flow meet is what their worker saw a moment ago, not the table of flows.
#[test]
fn a_flow_lives_as_long_as_it_is_used_and_no_longer() {
    let mut world = world();
    world.pod_may(&[], &[to_port(53)]);
    let there = udp("10.0.0.9", "10.0.1.9", (4000, 53), 9);
    let back = udp("10.0.1.9", "10.0.0.9", (53, 4000), 9);
    for _ in 0..50 {
        for _ in 0..3 {
            assert!(world.leaves(&there));
        }
        world.wait(1);
    }
    for _ in 0..150 {
        for _ in 0..3 {
            assert!(world.enters(&back));
        }
        world.wait(1);
    }
    world.wait(119);
    assert!(world.enters(&back));
    world.wait(122);
    assert!(!world.enters(&back));
    assert!(!world.enters(&back));
}

#[test]
fn a_change_of_policy_is_seen_at_once_by_flows_that_both_interfaces_let_pass() {
    for family in [Family::V4, Family::V6] {
        let (pod, other) = match family {
            Family::V4 => ("10.0.0.9", "10.0.1.9"),
            Family::V6 => ("2001:db8:a::9", "2001:db8:b::9"),
        };
        let mut world = world();
        world.pod_may(&[], &[to_port(53)]);
        let rule = world.rule(None, RuleAction::Allow, &[], &[to_port(53)]);
        let policy = world.policy(&[], &[rule]);
        let receiver = InterfacePolicies {
            tx: vec![policy],
            ..DENY
        };
        let configure = |world: &mut World, with: &InterfacePolicies| {
            let (dp, out) = (&mut world.lab.dp, world.out);
            dp.npol_configure_policies(out, with.clone()).unwrap();
        };
        configure(&mut world, &receiver);
        let there = udp(pod, other, (4000, 53), 9);
        let back = udp(other, pod, (53, 4000), 9);
        let passes = |world: &mut World| {
            [(); 4].map(|()| world.leaves(&there)) == [true; 4]
                && [(); 4].map(|()| world.enters(&back)) == [true; 4]
        };
        assert!(passes(&mut world));
        // The receiver refuses; the sender's interface goes on to let it pass.
        configure(&mut world, &DENY);
        assert!(!world.leaves(&there));
        configure(&mut world, &receiver);
        assert!(passes(&mut world));
        // A rule of the receiver that names another port now, all within a tick.
        world.rule(Some(rule), RuleAction::Allow, &[], &[to_port(54)]);
        assert!(!world.leaves(&there) && !world.leaves(&there));
        world.rule(Some(rule), RuleAction::Allow, &[], &[to_port(53)]);
        assert!(passes(&mut world));
        // The same flow from elsewhere is another one.
        let from_out = world
            .lab
            .send(world.out, &eth(own_mac(world.out), host(2), &there));
        assert!(from_out.is_empty());
    }
}

#[test]
fn nodes_that_others_do_the_work_of_count_their_packets_and_show_in_traces() {
    let mut world = world();
    world.pod_may(&[], &[]);
    let there = udp("10.0.0.9", "10.0.1.9", (4000, 53), 9);
    let back = udp("10.0.1.9", "10.0.0.9", (53, 4000), 9);
    let counted = |world: &World, node| world.lab.worker.counters().node(node).vectors;
    for n in 1..6 {
        assert!(world.leaves(&there) && world.enters(&back));
        assert_eq!(counted(&world, NodeId::NpolInput), n);
        assert_eq!(counted(&world, NodeId::NpolOutput), n);
    }
}

/// Sends every packet to another port while a test wants that.
struct Diverter(Rc<Cell<bool>>);

impl PacketHook for Diverter {
    fn process(&mut self, _: u32, job: &mut Job<'_>, _: Nanos) -> Result<(), HookFault> {
        for at in 0..job.len() {
            let Some(packet) = job.packet(at) else {
                continue;
            };
            let (link, mut head, tail) = (packet.link, packet.head.to_vec(), packet.tail);
            if self.0.get() {
                head[23] = 54;
                job.change(at, &link, &head, tail);
            } else {
                job.rule(at, Ruling::Pass);
            }
        }
        Ok(())
    }
}

#[test]
fn a_packet_that_was_changed_on_its_way_is_judged_by_what_it_has_become() {
    let mut world = world();
    world.pod_may(&[], &[]);
    let rule = world.rule(None, RuleAction::Allow, &[], &[to_port(53)]);
    let receiver = InterfacePolicies {
        tx: vec![world.policy(&[], &[rule])],
        ..DENY
    };
    let (pod, out, dp) = (world.pod, world.out, &mut world.lab.dp);
    dp.npol_configure_policies(out, receiver).unwrap();
    let function = dp.function_add_replace("diverter", false).unwrap();
    dp.function_interface_set(pod, Side::Input, Some(function))
        .unwrap();
    let divert = Rc::new(Cell::new(false));
    world.lab.hook = Box::new(Diverter(Rc::clone(&divert)));
    let there = udp("10.0.0.9", "10.0.1.9", (4000, 53), 9);
    assert_eq!([(); 5].map(|()| world.leaves(&there)), [true; 5]);
    divert.set(true);
    assert_eq!([(); 5].map(|()| world.leaves(&there)), [false; 5]);
    divert.set(false);
    assert_eq!([(); 5].map(|()| world.leaves(&there)), [true; 5]);
}
