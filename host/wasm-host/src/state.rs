//! The host's side of one instance: what it may use and what its running call did.

use wasmtime::component::HasData;

use crate::capability::{Draft, Limiter};
use crate::grants::Grants;
use crate::limits::{Ceiling, Limits};

#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) ceiling: Ceiling,
    pub(crate) grants: Grants,
    pub(crate) limiter: Limiter,
    /// Date of the running call, read once.
    pub(crate) unix_ms: Option<u64>,
    /// What the running call wrote to its scope.
    pub(crate) draft: Option<Draft>,
}

impl HasData for HostState {
    type Data<'a> = &'a mut Self;
}

impl HostState {
    /// `mapped` bytes are there beside the module's own memory.
    pub(crate) fn new(grants: &Grants, limits: &Limits, mapped: usize) -> Self {
        let memory_bytes = limits.memory_bytes.saturating_add(mapped);
        let ceiling = Ceiling {
            memory_bytes,
            refused: false,
        };
        Self {
            ceiling,
            grants: grants.clone(),
            limiter: Limiter::default(),
            unix_ms: None,
            draft: None,
        }
    }

    pub(crate) fn begin_call(&mut self) {
        self.unix_ms = None;
        self.draft = None;
        self.ceiling.refused = false;
    }

    /// The call succeeded: what it wrote takes effect.
    pub(crate) fn end_call(&mut self) {
        if let (Some(draft), Some(scope)) = (self.draft.take(), &self.grants.key_value) {
            scope.take(&draft);
        }
    }
}
