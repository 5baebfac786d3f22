use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// The obvious longest prefix match.
fn naive(routes: &BTreeMap<Prefix, u32>, address: IpAddr) -> Option<u32> {
    routes
        .iter()
        .filter(|(p, _)| p.contains(address))
        .max_by_key(|(p, _)| p.len)
        .map(|(_, v)| *v)
}

/// Few distinct bits, so that prefixes nest and addresses hit.
fn v4() -> impl Strategy<Value = (IpAddr, u8)> {
    (0u32..8, 0u32..8, 0u32..4, 0u8..=32)
        .prop_map(|(a, b, c, len)| (Ipv4Addr::from_bits(a << 29 | b << 14 | c).into(), len))
}

fn v6() -> impl Strategy<Value = (IpAddr, u8)> {
    (0u128..4, 0u128..8, 0u128..4, 0u8..=128)
        .prop_map(|(a, b, c, len)| (Ipv6Addr::from_bits(a << 126 | b << 62 | c).into(), len))
}

#[expect(clippy::unwrap_in_result, reason = "the prefixes are made to be valid")]
fn agrees_with_naive(
    ops: Vec<((IpAddr, u8), u32, bool)>,
    probes: Vec<(IpAddr, u8)>,
) -> Result<(), TestCaseError> {
    let (mut fib, mut model) = (Fib::default(), BTreeMap::new());
    let before = fib.clone();
    for ((address, len), value, is_add) in ops {
        let prefix = Prefix::new(address, len).unwrap().masked();
        if is_add {
            fib.insert(prefix, value);
            model.insert(prefix, value);
        } else {
            prop_assert_eq!(fib.remove(prefix), model.remove(&prefix).is_some());
        }
    }
    for (address, _) in probes.into_iter().chain(model.keys().map(|p| (p.addr, 0))) {
        prop_assert_eq!(fib.lookup(address), naive(&model, address), "{}", address);
        prop_assert_eq!(before.lookup(address), None);
    }
    for prefix in model.keys() {
        prop_assert!(fib.remove(*prefix));
    }
    prop_assert!(fib.is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn ip4_lookups_agree_with_a_naive_search(ops in proptest::collection::vec((v4(), 0..=VALUE_MAX, prop::bool::weighted(0.7)), 0..120),
                                             probes in proptest::collection::vec(v4(), 30)) {
        agrees_with_naive(ops, probes)?;
    }

    #[test]
    fn ip6_lookups_agree_with_a_naive_search(ops in proptest::collection::vec((v6(), 0..=VALUE_MAX, prop::bool::weighted(0.7)), 0..120),
                                             probes in proptest::collection::vec(v6(), 30)) {
        agrees_with_naive(ops, probes)?;
    }
}

/// Long prefixes under one another, so that nodes skip, split and merge again at every byte.
fn v6_long() -> impl Strategy<Value = (IpAddr, u8)> {
    (0usize..16, 0u8..3, 0u8..=128).prop_map(|(at, value, len)| {
        let mut bytes = [0x20; 16];
        bytes[at] = value;
        (IpAddr::from(bytes), len)
    })
}

proptest! {
    #[test]
    fn ip6_lookups_agree_where_nodes_skip_bytes(ops in proptest::collection::vec((v6_long(), 0..=VALUE_MAX, prop::bool::weighted(0.6)), 0..120),
                                                probes in proptest::collection::vec(v6_long(), 30)) {
        agrees_with_naive(ops, probes)?;
    }
}

#[test]
fn a_change_does_not_reach_a_snapshot() {
    let mut fib = Fib::default();
    for text in ["10.1.2.0/24", "10.1.2.3/32", "2001:db8::/64"] {
        fib.insert(text.parse().unwrap(), 1);
    }
    let before = fib.clone();
    for text in ["10.1.2.0/24", "10.1.2.3/32", "2001:db8::/64"] {
        fib.insert(text.parse().unwrap(), 2);
    }
    for (address, len) in [("10.1.2.3", 32), ("10.1.2.4", 24), ("2001:db8::1", 64)] {
        let address = address.parse().unwrap();
        assert_eq!(
            (before.lookup(address), fib.lookup(address)),
            (Some(1), Some(2))
        );
        assert!(fib.remove(Prefix::new(address, len).unwrap().masked()));
    }
    assert_eq!(fib.lookup("10.1.2.3".parse().unwrap()), None);
}
