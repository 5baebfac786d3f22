use weft_sdk::test::{Fate, Frames, ports, run};

use super::*;

fn counter(config: &str) -> HeaderCounter {
    let mut counter = HeaderCounter::default();
    counter
        .configure(config, &ports())
        .expect("a good configuration");
    counter
}

fn counts(counter: &HeaderCounter) -> Vec<u64> {
    counter.counters().into_iter().map(|(_, n)| n).collect()
}

/// An Ethernet frame with an IPv4 header and 20 bytes behind it.
fn frame(ethertype: u16, version: u8, protocol: u8) -> Vec<u8> {
    let mut ip = vec![0; 40];
    (ip[0], ip[3], ip[8], ip[9]) = (version << 4 | 5, 40, 64, protocol);
    let mut frame = vec![2; 12];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(ip);
    frame
}

#[test]
fn packets_are_counted_by_header_and_all_pass() {
    let mut counter = counter("{}");
    let frames = [
        frame(ethernet::IPV4, 4, proto::TCP),
        frame(ethernet::IPV4, 4, proto::UDP),
        frame(ethernet::IPV4, 4, proto::ICMP),
        frame(ethernet::IPV4, 4, 47),
        frame(ethernet::IPV4, 9, proto::TCP),
        frame(0x0806, 4, proto::TCP),
        vec![1, 2, 3],
    ];
    for bytes in frames {
        let fates = run(&mut counter, Frames::from_port(1).frame(bytes.clone()));
        let port = PortId(0);
        assert_eq!(fates, [Fate::Forwarded { port, bytes }]);
    }
    assert_eq!(counts(&counter), [1, 1, 1, 1, 1, 2]);
}

#[test]
fn told_not_to_count_it_only_passes() {
    let mut counter = counter(r#"{"count": false}"#);
    let bytes = frame(ethernet::IPV4, 4, proto::TCP);
    let fates = run(&mut counter, Frames::from_port(0).frame(bytes.clone()));
    let port = PortId(1);
    assert_eq!(fates, [Fate::Forwarded { port, bytes }]);
    assert_eq!(counts(&counter), [0; 6]);
}

#[test]
fn a_successor_goes_on_counting() {
    let mut first = counter("{}");
    let frames = Frames::from_port(0).frame(frame(ethernet::IPV4, 4, proto::UDP));
    assert_eq!(run(&mut first, frames).len(), 1);
    let mut second = counter("{}");
    second.restore("0.1.0", &first.save(1024)).expect("restore");
    assert_eq!(counts(&second), counts(&first));
    assert!(first.save(10).is_empty(), "too large is nothing");
}

#[test]
fn a_configuration_with_a_typing_error_is_refused() {
    let mut counter = HeaderCounter::default();
    assert!(counter.configure(r#"{"counts": true}"#, &ports()).is_err());
    assert!(counter.configure("{}", &ports()[..1]).is_err());
}
