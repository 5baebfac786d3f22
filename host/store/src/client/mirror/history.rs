//! Whether a store can replay what a mirror missed.

use etcd_client::{Client, Error, GetOptions};

use super::known::Place;
use crate::client::kv::{cluster_of, revision_of};
use crate::client::{StoreClient, StoreError};

/// Older releases of each line answer a question for progress before the replay is complete, or not
/// at all; the value is the first good patch release. Lines that are not listed are judged by the
/// last one.
const PROGRESS_SINCE: &[((u32, u32), u32)] = &[((3, 4), 31), ((3, 5), 13)];

impl StoreClient {
    /// The store's current revision if everything since `place` can be replayed.
    pub(super) async fn history_since(&self, place: Place) -> Result<Option<i64>, StoreError> {
        let Place {
            cluster,
            revision,
            newest: (key, written),
        } = place;
        let key = key.as_str();
        let ask = |mut client: Client| async move {
            let status = client.status().await?;
            if !tells_progress(status.version()) {
                return Ok::<_, Error>(None);
            }
            let then = GetOptions::new().with_revision(revision).with_keys_only();
            client.get(key, Some(then)).await.map(Some)
        };
        let reply = match self.call(|| "find the place in history".into(), ask).await {
            Ok(Some(reply)) => reply,
            // Compacted, or a revision that this store has not reached: another history.
            Ok(None) | Err(StoreError::Compacted { .. } | StoreError::Refused { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let same = cluster_of(reply.header()) == cluster
            && reply.kvs().first().map(etcd_client::KeyValue::mod_revision) == Some(written);
        Ok(same.then(|| revision_of(reply.header())))
    }
}

fn tells_progress(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-', '+'])
        .map_while(|part| part.parse::<u32>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    let (line, patch) = ((next(), next()), next());
    match PROGRESS_SINCE.iter().find(|(known, _)| *known == line) {
        Some((_, since)) => patch >= *since,
        None => PROGRESS_SINCE
            .last()
            .is_some_and(|(known, _)| line > *known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_is_left_to_releases_that_say_when_it_is_complete() {
        let cases = [
            ("3.4.23", false),
            ("3.4.31", true),
            ("3.5.12", false),
            ("3.5.13", true),
            ("3.5.13-rc.1", true),
            ("3.6.0", true),
            ("4.0.0", true),
            ("3.3.99", false),
            ("", false),
            ("not a version", false),
        ];
        for (version, expected) in cases {
            assert_eq!(tells_progress(version), expected, "{version:?}");
        }
    }
}
