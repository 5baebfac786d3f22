//! Learns where source addresses are. The writer adds the entry; this node only reports and refreshes.

use packet::ethernet::Ethernet;

use crate::event::Event;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(header) = Ethernet::new_checked(frame.head()) else {
        return Next::Drop(DropReason::Truncated);
    };
    let (mac, bridge, rx) = (header.src(), frame.meta.object, frame.rx);
    if mac.is_multicast() {
        return Next::Drop(DropReason::SourceMulticast);
    }
    match env.tables.macs.get(&(bridge, mac)) {
        Some(entry) if entry.flags.filter_mac => return Next::Drop(DropReason::L2Filter),
        Some(entry) if entry.sw_if_index == rx => entry.touch(env.now.secs()),
        Some(entry) if entry.flags.static_mac => {}
        _ => {
            let [a, b, c, d, e, f] = mac.0;
            let key = u64::from_be_bytes([0, 0, a, b, c, d, e, f])
                ^ (u64::from(bridge) << 40)
                ^ (u64::from(rx.0) << 17);
            env.learn(
                key,
                Event::MacLearned {
                    bridge,
                    mac,
                    sw_if_index: rx,
                },
            );
        }
    }
    Next::To(NodeId::L2Fwd)
}
