//! Flows on their way to a successor: one version byte, then a record each, little endian.
//!
//! ```text
//! u8 flags (1 = closing, 2 = source is IPv6, 4 = destination is IPv6)
//! u8 protocol, u16 source port, u16 destination port, u64 last seen (ns), source, destination (4 or 16 bytes)
//! ```
//! 22 bytes for an IPv4 flow: 16 MiB, the most a host takes, hold 762,600 of them.

use std::cmp::Reverse;
use std::net::IpAddr;

use weft_sdk::packet::flow::FlowKey;
use weft_sdk::prelude::*;

use crate::connections::Connection;

const VERSION: u8 = 2;
const CLOSING: u8 = 1;
const SRC_V6: u8 = 2;
const DST_V6: u8 = 4;
const FIXED_BYTES: usize = 14;
const SMALLEST_BYTES: usize = FIXED_BYTES + 4 + 4;
const LARGEST_BYTES: usize = FIXED_BYTES + 16 + 16;

/// Writes the flows that fit into `bytes_max`, the ones seen last.
pub(crate) fn save(mut flows: Vec<&Connection>, bytes_max: usize) -> Vec<u8> {
    let Some(room) = bytes_max.checked_sub(1) else {
        return Vec::new();
    };
    keep_newest(&mut flows, room);
    let mut state = Vec::with_capacity(1 + flows.iter().map(|flow| bytes(flow)).sum::<usize>());
    state.push(VERSION);
    flows.into_iter().for_each(|flow| put(flow, &mut state));
    state
}

/// Reads the flows of a predecessor.
pub(crate) fn restore(state: &[u8], mut adopt: impl FnMut(Connection)) -> Result<(), Fault> {
    let refuse = |why: String| Fault::new(FaultKind::Unsupported, why);
    let Some((&version, mut rest)) = state.split_first() else {
        return Ok(());
    };
    if version != VERSION {
        return Err(refuse(format!("state of version {version}, not {VERSION}")));
    }
    while !rest.is_empty() {
        let at = state.len() - rest.len();
        let flow = take(&mut rest).ok_or_else(|| refuse(format!("state is cut off at {at}")))?;
        adopt(flow);
    }
    Ok(())
}

/// Linear in the number of flows: it runs between two batches.
fn keep_newest(flows: &mut Vec<&Connection>, room: usize) {
    for record in [SMALLEST_BYTES, LARGEST_BYTES] {
        if flows.iter().map(|flow| bytes(flow)).sum::<usize>() <= room {
            return;
        }
        let fits = room / record;
        if fits < flows.len() {
            flows.select_nth_unstable_by_key(fits, |flow| Reverse(flow.last));
            flows.truncate(fits);
        }
    }
}

const fn bytes(flow: &Connection) -> usize {
    const fn address(address: IpAddr) -> usize {
        if address.is_ipv4() { 4 } else { 16 }
    }
    FIXED_BYTES + address(flow.key.src) + address(flow.key.dst)
}

fn put(flow: &Connection, state: &mut Vec<u8>) {
    let FlowKey {
        src,
        dst,
        protocol,
        src_port,
        dst_port,
    } = flow.key;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags =
        flag(flow.closing, CLOSING) | flag(src.is_ipv6(), SRC_V6) | flag(dst.is_ipv6(), DST_V6);
    state.extend([flags, protocol]);
    state.extend(src_port.to_le_bytes());
    state.extend(dst_port.to_le_bytes());
    state.extend(flow.last.0.to_le_bytes());
    for address in [src, dst] {
        match address {
            IpAddr::V4(v4) => state.extend(v4.octets()),
            IpAddr::V6(v6) => state.extend(v6.octets()),
        }
    }
}

fn take(rest: &mut &[u8]) -> Option<Connection> {
    let [flags, protocol] = array(rest)?;
    let src_port = u16::from_le_bytes(array(rest)?);
    let dst_port = u16::from_le_bytes(array(rest)?);
    let last = Nanos(u64::from_le_bytes(array(rest)?));
    let mut address = |v6: u8| {
        Some(match flags & v6 {
            0 => IpAddr::from(array::<4>(rest)?),
            _ => IpAddr::from(array::<16>(rest)?),
        })
    };
    let (src, dst) = (address(SRC_V6)?, address(DST_V6)?);
    Some(Connection {
        key: FlowKey {
            src,
            dst,
            protocol,
            src_port,
            dst_port,
        },
        last,
        closing: flags & CLOSING != 0,
    })
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(last: u64, v6: bool) -> Connection {
        let dst = if v6 { "fd00::7" } else { "10.0.0.7" };
        let [.., high, low] = last.to_be_bytes();
        Connection {
            key: FlowKey {
                src: IpAddr::from([10, 0, high, low]),
                dst: dst.parse().expect("an address"),
                protocol: 6,
                src_port: 0x1234,
                dst_port: 80,
            },
            last: Nanos(last),
            closing: last % 2 == 1,
        }
    }

    fn through(flows: &[Connection], bytes_max: usize) -> Vec<Connection> {
        let state = save(flows.iter().collect(), bytes_max);
        assert!(state.len() <= bytes_max, "{} bytes", state.len());
        let mut back = Vec::new();
        restore(&state, |flow| back.push(flow)).expect("readable");
        back.sort_by_key(|flow| flow.last);
        back
    }

    #[test]
    fn a_flow_comes_back_as_it_was() {
        let flows: Vec<_> = (0..40).map(|n| flow(n, n % 3 == 0)).collect();
        assert_eq!(through(&flows, usize::MAX), flows);
        assert_eq!(save(vec![&flow(2, false)], 100).len(), 1 + SMALLEST_BYTES);
    }

    #[test]
    fn the_oldest_flows_are_left_out() {
        let flows: Vec<_> = (0..1000).rev().map(|n| flow(n, false)).collect();
        let kept = through(&flows, 1 + 100 * SMALLEST_BYTES + 21);
        let last: Vec<u64> = kept.iter().map(|flow| flow.last.0).collect();
        assert_eq!(last, (900..1000).collect::<Vec<_>>());
        let mixed: Vec<_> = (0..1000).map(|n| flow(n, n % 2 == 0)).collect();
        let kept = through(&mixed, 1 + 100 * LARGEST_BYTES);
        assert_eq!(kept.len(), 100);
        assert_eq!(kept[0].last.0, 900);
        for bytes_max in [0, 1, 22] {
            assert!(through(&flows, bytes_max).is_empty());
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = save(vec![&flow(1, true), &flow(2, false)], 1000);
        for cut in 2..state.len() - 1 {
            let whole = cut == 1 + FIXED_BYTES + 4 + 16;
            assert_eq!(restore(&state[..cut], |_| {}).is_ok(), whole, "{cut}");
        }
        assert!(restore(b"{\"connections\":[]}", |_| {}).is_err());
        assert!(restore(b"", |_| {}).is_ok(), "a predecessor without state");
    }
}
