//! Values that outlive an instance. A call works on a draft; the scope takes it over when the call succeeded.

use std::sync::Arc;

use parking_lot::Mutex;
use weft_sdk::key_value::{KeyValueError, Quota, Scope};

use crate::bindings::capabilities::weft::host::key_value;
use crate::state::HostState;

/// Most keys of one answer, whatever the module asks for.
const KEYS_PER_CALL_MAX: u32 = 1024;

/// The values of one module; clones share them. They live in this process's memory.
#[derive(Debug, Clone)]
pub struct KeyValueScope(Arc<Mutex<Scope>>);

impl KeyValueScope {
    /// An empty scope.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self(Arc::new(Mutex::new(Scope::new(quota))))
    }

    /// A value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().get(key).map(<[u8]>::to_vec)
    }

    pub(crate) fn draft(&self) -> Draft {
        let before = self.0.lock().clone();
        Draft {
            now: before.clone(),
            before,
        }
    }

    pub(crate) fn take(&self, draft: &Draft) {
        let lost = self.0.lock().merge(&draft.before, &draft.now);
        if lost > 0 {
            tracing::warn!(
                lost,
                "calls of one module at the same time filled its scope"
            );
        }
    }
}

/// What a running call sees and writes.
#[derive(Debug)]
pub(crate) struct Draft {
    before: Scope,
    now: Scope,
}

impl HostState {
    fn draft(&mut self) -> Option<&mut Scope> {
        // The interface is linked only where a scope is granted.
        let scope = self.grants.key_value.as_ref()?;
        let draft = self.draft.get_or_insert_with(|| scope.draft());
        Some(&mut draft.now)
    }
}

impl key_value::Host for HostState {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.draft()?.get(&key).map(<[u8]>::to_vec)
    }

    fn put(&mut self, key: String, value: Vec<u8>) -> Result<(), key_value::KeyValueError> {
        let missing = || key_value::KeyValueError::Other("not granted".to_owned());
        let scope = self.draft().ok_or_else(missing)?;
        scope.put(&key, value.into()).map_err(|error| match error {
            KeyValueError::Quota => key_value::KeyValueError::Quota,
            KeyValueError::BadKey => key_value::KeyValueError::BadKey,
            KeyValueError::Other(other) => key_value::KeyValueError::Other(other),
        })
    }

    fn delete(&mut self, key: String) -> bool {
        self.draft().is_some_and(|scope| scope.delete(&key))
    }

    fn keys(&mut self, prefix: String, limit: u32) -> Vec<String> {
        let limit = limit.min(KEYS_PER_CALL_MAX);
        self.draft()
            .map(|scope| scope.keys(&prefix, limit))
            .unwrap_or_default()
    }
}
