//! What the lab tells about itself.

use std::collections::BTreeMap;

use model::key::{CHAIN_STATUS, CHAINS, HOP_STATES};
use model::{ChainStatus, HopState, Key, record};
use store::client::StoreError;

use super::Lab;
use crate::lab::control::{ChainView, Status};

impl Lab {
    pub(super) async fn status(&self) -> Status {
        let (chains, store_problem) = match self.chains().await {
            Ok(chains) => (chains, None),
            Err(error) => (BTreeMap::new(), Some(error.to_string())),
        };
        Status {
            nodes: self.names.iter().map(ToString::to_string).collect(),
            processes: self
                .processes
                .iter()
                .map(|(n, p)| (n.clone(), p.state()))
                .collect(),
            pods: self
                .pods
                .iter()
                .map(|(n, p)| (n.to_string(), p.handle.state()))
                .collect(),
            chains,
            store_problem,
        }
    }

    async fn chains(&self) -> Result<BTreeMap<String, ChainView>, StoreError> {
        let mut views: BTreeMap<String, ChainView> = BTreeMap::new();
        for prefix in [CHAINS, CHAIN_STATUS, HOP_STATES] {
            let (_, records) = self.store.list_prefix(prefix).await?;
            for kv in records {
                match Key::parse(&kv.key) {
                    Some(Key::Chain(chain)) => {
                        views.entry(chain.to_string()).or_default();
                    }
                    Some(Key::ChainStatus(chain)) => {
                        let status = record::decode::<ChainStatus>(&kv.key, &kv.value).ok();
                        views.entry(chain.to_string()).or_default().status = status;
                    }
                    Some(Key::HopState { chain, hop, .. }) => {
                        if let Ok(state) = record::decode::<HopState>(&kv.key, &kv.value) {
                            views
                                .entry(chain.to_string())
                                .or_default()
                                .hops
                                .insert(hop, state);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(views)
    }
}
