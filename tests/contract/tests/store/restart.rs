//! Killed servers.

use std::time::Duration;

use store::client::StoreError;
use store::wire::{LeaseGrantRequest, LeaseTimeToLiveRequest, PutRequest};
use tokio::task::JoinSet;

use crate::backend::Server;
use crate::mirror::word;
use crate::wire::{Wire, put, text, watch};

pub(crate) async fn acknowledged_writes_survive_a_kill(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let lease = LeaseGrantRequest { ttl: 600, id: 99 };
    wire.lease.lease_grant(lease).await.unwrap();
    wire.kv
        .put(PutRequest {
            lease: 99,
            ..put("kill/leased", "1")
        })
        .await
        .unwrap();
    let first = wire.put("kill/once", "1").await;

    let client = server.client();
    let mut writers: JoinSet<Vec<(String, i64)>> = JoinSet::new();
    for writer in 0..8 {
        let client = client.clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0.. {
                let key = format!("kill/{writer}/{n}");
                match client.put(&key, "1").await {
                    Ok(revision) => acknowledged.push((key, revision)),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    while client.get("kill/0/5").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    server.kill();
    let mut acknowledged = Vec::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer.unwrap());
    }
    server.resume().await;

    let (revision, kvs) = client.list_prefix("kill/").await.unwrap();
    assert!(acknowledged.len() > 5);
    for (key, written) in acknowledged {
        let kv = kvs
            .iter()
            .find(|kv| kv.key == key)
            .unwrap_or_else(|| panic!("lost `{key}`"));
        assert_eq!(kv.mod_revision, written, "{key}");
        assert!(written <= revision);
    }
    let mut wire = Wire::new(server).await;
    let look = LeaseTimeToLiveRequest { id: 99, keys: true };
    let view = wire
        .lease
        .lease_time_to_live(look)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (view.granted_ttl, text(&view.keys[0])),
        (600, "kill/leased".into())
    );
    let mut watching = wire.watch(watch("kill/once", "", first)).await;
    watching.created().await;
    assert_eq!(watching.events(1).await, format!("{first}:+kill/once=1"));
    assert_eq!(wire.put("kill/once", "2").await, revision + 1);
}

pub(crate) async fn a_mirror_resumes_after_a_restart(server: &mut Server) {
    let client = server.client();
    client.put("res/a", "1").await.unwrap();
    let mut mirror = client.watch_prefix("res/");
    assert_eq!(word(&mut mirror).await, "synced res/a=1");
    server.kill();
    assert_eq!(word(&mut mirror).await, "disconnected");
    let error = client.get("res/a").await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unavailable { .. }) && error.is_transient(),
        "{error}"
    );
    server.resume().await;
    assert_eq!(word(&mut mirror).await, "resumed");
    client.put("res/a", "2").await.unwrap();
    assert_eq!(word(&mut mirror).await, "res/a=2");
}

pub(crate) async fn a_wiped_store_is_a_new_snapshot(server: &mut Server) {
    let client = server.client();
    client.put("wipe/a", "1").await.unwrap();
    let mut mirror = client.watch_prefix("wipe/");
    assert_eq!(word(&mut mirror).await, "synced wipe/a=1");
    server.kill();
    assert_eq!(word(&mut mirror).await, "disconnected");
    server.wipe();
    server.resume().await;
    assert_eq!(word(&mut mirror).await, "synced");
    let start = tokio::time::timeout(Duration::from_secs(20), client.put("wipe/b", "1")).await;
    start.unwrap().unwrap();
    assert_eq!(word(&mut mirror).await, "wipe/b=1");
}
