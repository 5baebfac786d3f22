//! Packet counters of interfaces, from the dataplane's statistics segment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agent_api::agent::InterfaceState;
use vpp_api_client::stats::{StatsError, StatsSegment, Value};

const DEADLINE: Duration = Duration::from_secs(1);

/// Names of the statistics, as VPP has them.
const NAMES: &str = "/if/names";
const RX: &str = "/if/rx";
const TX: &str = "/if/tx";
const DROPS: &str = "/if/drops";

/// Fills in the counters of `interfaces`.
///
/// Every reading fetches the segment anew: the one of a dataplane that died stays readable, and lies.
pub(crate) async fn count(
    socket: &Path,
    interfaces: &mut [InterfaceState],
) -> Result<(), StatsError> {
    let segment = StatsSegment::connect(socket, DEADLINE).await?;
    let wanted = |name: &str| [NAMES, RX, TX, DROPS].contains(&name);
    fill(&segment.read(wanted).await?, interfaces);
    Ok(())
}

/// Statistics are kept by the dataplane's number of an interface.
fn fill(values: &BTreeMap<String, Value>, interfaces: &mut [InterfaceState]) {
    for interface in interfaces {
        let Some(index) = interface.sw_if_index.map(|index| index as usize) else {
            continue;
        };
        if let Some(Value::Names(names)) = values.get(NAMES)
            && let Some(Some(name)) = names.get(index)
        {
            interface.name.clone_from(name);
        }
        let packets = |name| {
            let value: Option<&Value> = values.get(name);
            value.and_then(|v| v.packets(index)).unwrap_or_default()
        };
        interface.rx_packets = packets(RX);
        interface.tx_packets = packets(TX);
        interface.drops = packets(DROPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_threads_and_found_by_number() {
        let name = |name: &str| Some(name.to_owned());
        let simple = |rows: &[[u64; 3]]| Value::Simple(rows.iter().map(|r| r.to_vec()).collect());
        let values = BTreeMap::from([
            (
                NAMES.to_owned(),
                Value::Names(vec![name("local0"), None, name("tap1")]),
            ),
            (RX.to_owned(), simple(&[[1, 2, 3], [10, 20, 30]])),
            (DROPS.to_owned(), simple(&[[0, 0, 7]])),
        ]);
        let state = |sw_if_index| InterfaceState {
            sw_if_index,
            ..InterfaceState::default()
        };
        let mut interfaces = [state(Some(2)), state(Some(9)), state(None)];
        fill(&values, &mut interfaces);
        let counted = interfaces.map(|i| (i.name, i.rx_packets, i.tx_packets, i.drops));
        let nothing = (String::new(), 0, 0, 0);
        let tap = ("tap1".to_owned(), 33, 0, 7);
        assert_eq!(counted, [tap, nothing.clone(), nothing]);
    }
}
