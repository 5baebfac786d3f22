//! The life of the embedded server within a process.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::client::{MirrorEvent, StoreClient};

#[tokio::test]
async fn shutdown_ends_open_streams_and_leaves_the_data_for_the_next_server() {
    let dir = tempfile::tempdir().unwrap();
    let (client, stop, served) = start(dir.path()).await;
    let mut mirror = client.watch_prefix("k/");
    assert!(matches!(
        mirror.next().await,
        Some(MirrorEvent::Synced { .. })
    ));
    let lease = client.lease(Duration::from_secs(60)).await.unwrap();
    let revision = client.put_with_lease("k/a", "1", lease.id()).await.unwrap();
    assert!(matches!(mirror.next().await, Some(MirrorEvent::Put(_))));
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    assert!(matches!(
        mirror.next().await,
        Some(MirrorEvent::Disconnected { .. })
    ));

    let (client, stop, served) = start(dir.path()).await;
    let kv = client.get("k/a").await.unwrap().unwrap();
    assert_eq!((kv.mod_revision, kv.lease), (revision, lease.id().0));
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn concurrent_writers_each_get_a_revision_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (client, stop, served) = start(dir.path()).await;
    let before = client.revision().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..100_i64 {
        let client = client.clone();
        writers.spawn(async move { client.put(&format!("k/{n}"), "1").await.unwrap() });
    }
    let mut revisions = writers.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (before + 1..=before + 100).collect::<Vec<_>>());
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (client, stop, served) = start(dir.path()).await;
    client.revision().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = serve(listener, dir.path(), std::future::pending()).await;
    assert!(
        matches!(second, Err(ServeError::Disk(DiskError::InUse { .. }))),
        "{second:?}"
    );
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

async fn start(
    dir: &Path,
) -> (
    StoreClient,
    oneshot::Sender<()>,
    JoinHandle<Result<(), ServeError>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let dir = dir.to_owned();
    let served = tokio::spawn(async move {
        let shutdown = async { stopped.await.unwrap() };
        serve(listener, &dir, shutdown).await
    });
    let client = StoreClient::new(&[endpoint], Duration::from_secs(5)).unwrap();
    (client, stop, served)
}
