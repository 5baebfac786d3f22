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

fn lookup(fib: &Fib, address: IpAddr) -> Option<u32> {
    with_bytes(address, |bytes| fib.lookup(bytes))
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
        prop_assert_eq!(lookup(&fib, address), naive(&model, address), "{}", address);
        prop_assert_eq!(lookup(&before, address), None);
    }
    for prefix in model.keys() {
        prop_assert!(fib.remove(*prefix));
    }
    prop_assert!(fib.root.is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn ip4_lookups_agree_with_a_naive_search(ops in proptest::collection::vec((v4(), any::<u32>(), prop::bool::weighted(0.7)), 0..120),
                                             probes in proptest::collection::vec(v4(), 30)) {
        agrees_with_naive(ops, probes)?;
    }

    #[test]
    fn ip6_lookups_agree_with_a_naive_search(ops in proptest::collection::vec((v6(), any::<u32>(), prop::bool::weighted(0.7)), 0..120),
                                             probes in proptest::collection::vec(v6(), 30)) {
        agrees_with_naive(ops, probes)?;
    }
}
