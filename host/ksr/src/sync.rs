//! Mark and sweep: makes the store's records of our prefixes equal to the wanted ones.

use model::key::{CHAINS, PODS};
use store::client::{StoreClient, StoreError};

use crate::reflect::Records;

/// Steps between two full comparisons when nothing changed: heals what others broke.
const FULL_SYNC_STEPS: u32 = 150;

pub(crate) struct Sync {
    client: StoreClient,
    wanted: Option<Records>,
    /// What the store holds as far as we know; `None` until it was read.
    stored: Option<Records>,
    idle_steps: u32,
    reported: bool,
}

impl Sync {
    pub(crate) fn new(client: StoreClient) -> Self {
        Self {
            client,
            wanted: None,
            stored: None,
            idle_steps: 0,
            reported: false,
        }
    }

    pub(crate) fn want(&mut self, records: Records) {
        self.wanted = Some(records);
        self.idle_steps = 0;
    }

    /// Writes what differs. A failure is reported once and tried again at the next step.
    pub(crate) async fn step(&mut self) {
        if self.idle_steps == FULL_SYNC_STEPS {
            self.stored = None;
            self.idle_steps = 0;
        }
        self.idle_steps += 1;
        match self.write_difference().await {
            Ok(()) => self.reported = false,
            Err(error) => {
                self.stored = None;
                if !std::mem::replace(&mut self.reported, true) {
                    tracing::warn!(%error, "store is away; changes are written when it returns");
                }
            }
        }
    }

    async fn write_difference(&mut self) -> Result<(), StoreError> {
        let Some(wanted) = &self.wanted else {
            return Ok(());
        };
        let mut stored = match self.stored.take() {
            Some(stored) => stored,
            None => read(&self.client).await?,
        };
        if stored != *wanted {
            for (key, value) in wanted {
                if stored.get(key) != Some(value) {
                    self.client.put(key, value.clone()).await?;
                }
            }
            for key in stored.keys().filter(|key| !wanted.contains_key(*key)) {
                self.client.delete(key).await?;
            }
            stored.clone_from(wanted);
        }
        self.stored = Some(stored);
        Ok(())
    }
}

async fn read(client: &StoreClient) -> Result<Records, StoreError> {
    let mut records = Records::new();
    for prefix in [PODS, CHAINS] {
        let (_, found) = client.list_prefix(prefix).await?;
        records.extend(found.into_iter().map(|kv| (kv.key, kv.value)));
    }
    Ok(records)
}
