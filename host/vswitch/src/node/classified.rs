//! What classifier tables say about a packet.

use crate::classify::{self, NEXT_DENY, Verdict};
use crate::frame::Frame;
use crate::graph::{DropReason, Env};
use crate::id::Family;

/// Asks a chain of tables whether a packet may pass, and which FIB it is to be looked up in.
pub(super) fn check(
    env: &Env<'_>,
    frame: &Frame,
    first: u32,
    current: usize,
) -> Result<Option<(Family, u32)>, DropReason> {
    match classify::walk(&env.tables.classify, first, frame.head(), current) {
        Verdict::Hit(session) if u32::from(session.hit_next) == NEXT_DENY => {
            Err(DropReason::InaclSessionDeny)
        }
        Verdict::Hit(session) => Ok(session.fib),
        Verdict::Miss(NEXT_DENY) | Verdict::Gone => Err(DropReason::InaclTableMiss),
        Verdict::Miss(_) => Ok(None),
    }
}
