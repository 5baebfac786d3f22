use std::cell::RefCell;
use std::rc::Rc;

use packet::{checksum, proto, tcp};

use super::routing::two_subnets;
use super::*;
use crate::function::{HookFault, Job, LINK_LEN, PacketHook, Ruling, Side};
use crate::{ApiError, Gso, Nanos, Offload, SwIfIndex, Tail};

/// A hook that does what a test says, and remembers the sizes of its calls.
struct Script<F> {
    rule: F,
    calls: Rc<RefCell<Vec<(u32, Side, usize)>>>,
}

impl<F: FnMut(&mut Job<'_>, usize) -> Result<(), HookFault>> PacketHook for Script<F> {
    fn process(&mut self, function: u32, job: &mut Job<'_>, _: Nanos) -> Result<(), HookFault> {
        let call = (function, job.side(), job.len());
        self.calls.borrow_mut().push(call);
        (0..job.len()).try_for_each(|at| (self.rule)(job, at))
    }
}

/// Two subnets, with a function on the input of the first.
fn lab(
    fail_open: bool,
    rule: impl FnMut(&mut Job<'_>, usize) -> Result<(), HookFault> + 'static,
) -> (Lab, SwIfIndex, SwIfIndex, u32) {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.neighbor(b, "2001:db8:b::9", host(2));
    let function = lab.dp.function_add_replace("guard", fail_open).unwrap();
    lab.dp
        .function_interface_set(a, Side::Input, Some(function))
        .unwrap();
    let calls = Rc::default();
    lab.hook = Box::new(Script { rule, calls });
    (lab, a, b, function)
}

fn to_b(a: SwIfIndex, payload: usize) -> Vec<u8> {
    let packet = udp("10.0.0.9", "10.0.1.9", (1, 2), payload);
    eth(own_mac(a), host(1), &packet)
}

#[test]
fn a_ruling_decides_and_is_counted_by_name() {
    let mut rulings = [
        Ruling::Pass,
        Ruling::Drop,
        Ruling::Nonsense,
        Ruling::TooLong,
        Ruling::NoRoom,
    ]
    .into_iter();
    let (mut lab, a, _, function) = lab(false, move |job, at| {
        job.rule(at, rulings.next().unwrap());
        Ok(())
    });
    let sent: Vec<_> = (0..5).map(|_| lab.send(a, &to_b(a, 20)).len()).collect();
    assert_eq!(sent, [1, 0, 0, 0, 0]);
    assert_eq!(
        lab.drops(),
        [
            "weft-function-input: no free frames = 1",
            "weft-function-input: function: verdict is to drop = 1",
            "weft-function-input: function: verdict makes no sense = 1",
            "weft-function-input: function: packet is longer than it takes = 1",
        ]
    );
    let counters = lab.dp.function_counters(function);
    assert_eq!(
        (counters.packets, counters.drops, counters.undecided),
        (5, 1, 1)
    );
}

#[test]
fn while_a_function_fails_packets_pass_or_drop_as_configured() {
    for fault in [HookFault::Failed, HookFault::Absent] {
        for fail_open in [false, true] {
            let (mut lab, a, _, function) = lab(fail_open, move |_, _| Err(fault));
            assert_eq!(lab.send(a, &to_b(a, 20)).len(), usize::from(fail_open));
            let counters = lab.dp.function_counters(function);
            let faults = u64::from(fault == HookFault::Failed);
            assert_eq!((counters.faults, counters.undecided), (faults, 1));
            let drops = lab.drops();
            if fail_open {
                assert_eq!(drops, [""; 0]);
            } else {
                assert_eq!(
                    drops,
                    ["weft-function-input: function: it failed and is fail-closed = 1"]
                );
            }
        }
    }
}

#[test]
fn a_batch_is_one_call_per_function_and_side() {
    let (mut lab, a, b, first) = lab(false, |_, _| Ok(()));
    let second = lab.dp.function_add_replace("second", false).unwrap();
    let out = Side::Output;
    lab.dp.function_interface_set(b, out, Some(second)).unwrap();
    let calls = Rc::new(RefCell::new(Vec::new()));
    lab.hook = Box::new(Script {
        rule: |job: &mut Job<'_>, at| {
            job.rule(at, Ruling::Pass);
            Ok(())
        },
        calls: Rc::clone(&calls),
    });
    let tables = lab.dp.publish();
    for _ in 0..crate::BATCH_MAX {
        lab.batch
            .push(a, &to_b(a, 20), None, Offload::default())
            .unwrap();
    }
    lab.worker
        .run_with(&tables, &mut lab.batch, lab.now, &mut *lab.hook);
    let sent: usize = lab.batch.tx_lists().map(|(_, ids)| ids.len()).sum();
    assert_eq!(sent, crate::BATCH_MAX);
    assert_eq!(
        *calls.borrow(),
        [
            (first, Side::Input, crate::BATCH_MAX),
            (second, out, crate::BATCH_MAX)
        ]
    );
}

/// The IP packet of a job, with its tail left out.
fn ip_of(job: &Job<'_>, at: usize) -> (Vec<u8>, Option<Tail>) {
    let packet = job.packet(at).unwrap();
    (packet.head.to_vec(), packet.tail)
}

fn send_elsewhere(job: &mut Job<'_>, at: usize) -> Result<(), HookFault> {
    let (mut packet, tail) = ip_of(job, at);
    packet[19] = 77;
    let total = u16::from_be_bytes([packet[2], packet[3]]);
    ipv4_finish(&mut packet, total);
    job.change(at, &[0; LINK_LEN], &packet, tail);
    Ok(())
}

fn ipv4_finish(packet: &mut [u8], total: u16) {
    packet::ipv4::finish_header(packet, total, packet::ipv4::FLAG_DF);
}

#[test]
fn a_changed_packet_goes_where_its_new_header_says() {
    let (mut lab, a, b, function) = lab(false, send_elsewhere);
    lab.neighbor(b, "10.0.1.77", host(7));
    for payload in [20, 700] {
        let text = lab.text(a, &to_b(a, payload));
        assert!(text.contains("10.0.0.9 > 10.0.1.77 ttl 63"), "{text}");
        assert!(text.contains(&host(7).to_string()), "{text}");
    }
    assert_eq!(lab.dp.function_counters(function).changed, 2);
}

#[test]
fn a_changed_packet_is_checked_like_a_received_one() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(&str, Spoil); 5] = [
        ("bad ip checksum", |p| p[10] ^= 1),
        ("ip header malformed", |p| p[0] = 0x00),
        ("ip header malformed", Vec::clear),
        ("ip length > l2 length", |p| ipv4_finish(p, 900)),
        ("ip multicast not supported", |p| {
            p[16] = 224;
            ipv4_finish(p, 48);
        }),
    ];
    for (reason, spoil) in cases {
        let (mut lab, a, ..) = lab(true, move |job, at| {
            let (mut packet, tail) = ip_of(job, at);
            spoil(&mut packet);
            job.change(at, &[0; LINK_LEN], &packet, tail);
            Ok(())
        });
        assert!(lab.send(a, &to_b(a, 20)).is_empty(), "{reason}");
        assert_eq!(lab.drops(), [format!("weft-function-input: {reason} = 1")]);
    }
}

#[test]
fn on_output_a_function_sees_and_may_change_the_link_header_but_not_the_mtu() {
    let (mut lab, a, b, function) = lab(false, |job, at| {
        let packet = job.packet(at).unwrap();
        let (mut link, mut head) = (packet.link, packet.head.to_vec());
        assert_eq!(link[..6], host(2).0);
        link[5] = 99;
        if head.len() > 100 {
            let tail = Tail {
                slot: 9,
                offset: 0,
                len: 1400,
            };
            ipv4_finish(&mut head, 178 + 1400);
            job.change(at, &link, &head, Some(tail));
        } else {
            job.change(at, &link, &head, None);
        }
        Ok(())
    });
    lab.dp.function_interface_set(a, Side::Input, None).unwrap();
    lab.dp
        .function_interface_set(b, Side::Output, Some(function))
        .unwrap();
    let text = lab.text(a, &to_b(a, 20));
    assert!(text.contains("02:aa:00:00:00:63"), "{text}");
    assert!(lab.send(a, &to_b(a, 1400)).is_empty());
    assert_eq!(
        lab.drops(),
        ["weft-function-output: packet exceeds the mtu of the output interface = 1"]
    );
}

#[test]
fn a_device_finishes_the_checksum_of_a_changed_packet() {
    let (mut lab, a, b, _) = lab(false, send_elsewhere);
    lab.neighbor(b, "10.0.1.77", host(7));
    let mut segment = vec![0; 60];
    segment[12] = 0x50;
    // The sum of the pseudo header with the old address, as the kernel leaves it.
    let packet = ip("10.0.0.9", "10.0.1.9", proto::TCP, 64, &segment);
    let offload = Offload {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 16,
        ..Offload::default()
    };
    let super_frame = Offload {
        gso: Gso::Tcp4,
        gso_size: 20,
        hdr_len: 54,
        ..offload
    };
    let to = "10.0.1.77".parse().unwrap();
    let sum = checksum::pseudo4("10.0.0.9".parse().unwrap(), to, proto::TCP, 60);
    for offload in [offload, super_frame] {
        let sent = lab.send_with(a, &eth(own_mac(a), host(1), &packet), offload);
        let (_, bytes, left) = &sent[0];
        assert_eq!(*left, offload);
        let at = 34 + tcp::CHECKSUM_OFFSET;
        assert_eq!(bytes[at..at + 2], checksum::fold(sum).to_be_bytes());
    }
    let unknown = ip("10.0.0.9", "10.0.1.9", proto::SCTP, 64, &segment);
    let sent = lab.send_with(a, &eth(own_mac(a), host(1), &unknown), offload);
    assert!(sent.is_empty());
    assert_eq!(
        lab.drops(),
        ["weft-function-input: pending offload cannot cross a tunnel = 1"]
    );
}

#[test]
fn a_function_in_use_stays_and_goes_with_its_last_interface() {
    let (mut lab, a, b, function) = lab(false, |_, _| Ok(()));
    let in_use = Err(ApiError::InstanceInUse);
    assert_eq!(lab.dp.function_del(function), in_use);
    let unknown = lab.dp.function_interface_set(b, Side::Output, Some(9));
    assert_eq!(unknown, Err(ApiError::NoSuchEntry));
    lab.dp.delete_interface(a).unwrap();
    lab.dp.function_del(function).unwrap();
    assert_eq!(lab.dp.functions().count(), 0);
    for n in 0..crate::function::FUNCTIONS_MAX {
        lab.dp.function_add_replace(&n.to_string(), true).unwrap();
    }
    let more = lab.dp.function_add_replace("more", true);
    assert_eq!(more, Err(ApiError::LimitExceeded));
    assert_eq!(lab.dp.function_add_replace("5", false), Ok(5));
    assert_eq!(
        lab.dp.function_add_replace("", true),
        Err(ApiError::InvalidValue)
    );
}
