//! The part of the snapshot that cloud NAT reads.

use std::sync::Arc;

use super::service::{Service, Vip};
use super::session::Sessions;
use super::snat::Snat;
use crate::id::Family;
use crate::persist::PMap;

/// Flows of each family when nobody says otherwise.
pub const SESSIONS_DEFAULT: usize = 1 << 20;

/// Translations, policies and sessions.
#[derive(Debug, Clone)]
pub(crate) struct CnatTables {
    pub(crate) services: PMap<Vip, Arc<Service>>,
    /// Source NAT by FIB that flows come from; the first number is the FIB flows are answered in.
    pub(crate) snat: Arc<[(u32, Arc<Snat>)]>,
    pub(crate) snat_default: Option<Arc<Snat>>,
    pub(crate) sessions: Arc<Sessions>,
    /// FIBs of table 0, in which virtual addresses are.
    pub(crate) fib4: u32,
    pub(crate) fib6: u32,
}

impl Default for CnatTables {
    fn default() -> Self {
        Self {
            services: PMap::default(),
            snat: Arc::new([]),
            snat_default: None,
            sessions: Arc::new(Sessions::new(SESSIONS_DEFAULT, 0)),
            fib4: 0,
            fib6: 0,
        }
    }
}

impl CnatTables {
    /// Forgets all sessions and makes room for so many.
    pub(crate) fn with_sessions(&mut self, flows: usize, seed: u64) {
        let reserved = self.sessions.bytes() > 0;
        self.sessions = Arc::new(Sessions::new(flows, seed));
        if reserved {
            self.sessions.reserve();
        }
    }

    /// The policy for flows that were looked up in `fib`.
    pub(crate) fn snat_of(&self, fib: u32) -> Option<&Snat> {
        let own = self.snat.iter().find(|(of, _)| *of == fib);
        own.map(|(_, snat)| snat)
            .or(self.snat_default.as_ref())
            .map(|snat| &**snat)
    }

    /// The FIB of table 0.
    pub(crate) const fn fib(&self, family: Family) -> u32 {
        match family {
            Family::V4 => self.fib4,
            Family::V6 => self.fib6,
        }
    }
}
