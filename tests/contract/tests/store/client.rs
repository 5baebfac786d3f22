//! `store::client` beyond what the mirror needs.

use std::time::Duration;

use store::client::{Commit, Precondition, StoreClient, StoreError, Swap};

use crate::backend::Server;
use crate::mirror::{Gate, word};

pub(crate) async fn compare_and_swap_loses_to_a_concurrent_change(server: &mut Server) {
    let client = server.client();
    let key = "cas/a";
    let Swap::Done { revision } = client.put_if(key, Precondition::Absent, "1").await.unwrap()
    else {
        panic!("the key was absent")
    };
    let Swap::Conflict { current } = client.put_if(key, Precondition::Absent, "2").await.unwrap()
    else {
        panic!("the key is there")
    };
    assert_eq!(current, client.get(key).await.unwrap());
    client.put(key, "interloper").await.unwrap();
    let stale = client
        .put_if(key, Precondition::ModRevision(revision), "3")
        .await
        .unwrap();
    assert!(matches!(stale, Swap::Conflict { current: Some(kv) } if kv.value == b"interloper"));
    let fresh = client
        .put_if(key, Precondition::Version(2), "4")
        .await
        .unwrap();
    assert!(matches!(fresh, Swap::Done { .. }));
    let wrong = client
        .delete_if(key, Precondition::Value("3".into()))
        .await
        .unwrap();
    assert!(matches!(wrong, Swap::Conflict { .. }));
    let right = client
        .delete_if(key, Precondition::Value("4".into()))
        .await
        .unwrap();
    assert!(matches!(right, Swap::Done { .. }));
    assert!(!client.delete(key).await.unwrap());
}

pub(crate) async fn long_listings_are_paged_at_one_revision(server: &mut Server) {
    let client = server.client();
    for hundred in 0..12 {
        let transaction = (0..100).fold(client.transaction(), |transaction, n| {
            transaction.put(&format!("page/{hundred:02}{n:02}"), vec![b'x'; 10])
        });
        assert!(matches!(
            transaction.commit().await.unwrap(),
            Commit::Done { .. }
        ));
    }
    let (revision, kvs) = client.list_prefix("page/").await.unwrap();
    assert_eq!(revision, client.revision().await.unwrap());
    assert_eq!(kvs.len(), 1200);
    assert!(kvs.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(client.delete_prefix("page/").await.unwrap(), 1200);
    client.compact(revision + 1).await.unwrap();
    let error = client.compact(revision).await.unwrap_err();
    assert!(matches!(error, StoreError::Compacted { .. }), "{error}");
}

pub(crate) async fn a_lease_handle_renews_and_notices_its_end(server: &mut Server) {
    let client = server.client();
    let mut lease = client.lease(Duration::from_secs(2)).await.unwrap();
    client
        .put_with_lease("held/a", "1", lease.id())
        .await
        .unwrap();
    // Outlives its length because it is renewed.
    let outlived = tokio::time::timeout(Duration::from_secs(4), lease.lost()).await;
    assert!(outlived.is_err(), "the lease was lost though it is renewed");
    assert!(client.get("held/a").await.unwrap().is_some());

    let id = lease.id();
    let other = client.lease(Duration::from_secs(60)).await.unwrap();
    assert_ne!(other.id(), id);
    other.revoke().await.unwrap();
    let mut wire = crate::wire::Wire::new(server).await;
    let revoke = store::wire::LeaseRevokeRequest { id: id.0 };
    wire.lease.lease_revoke(revoke).await.unwrap();
    lease.lost().await;
    assert!(client.get("held/a").await.unwrap().is_none());
    let error = client.put_with_lease("held/b", "1", id).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseNotFound { .. }), "{error}");
}

pub(crate) async fn a_dead_endpoint_is_passed_over(server: &mut Server) {
    let dead = format!("http://127.0.0.1:{}", crate::backend::free_port());
    let gate = Gate::open(server.port(), 0).await;
    let endpoints = [dead, gate.endpoint(), server.endpoint()];
    let client = StoreClient::new(&endpoints, Duration::from_secs(5)).unwrap();
    for n in 0..10 {
        client.put("fail/a", n.to_string()).await.unwrap();
    }
    let mut mirror = client.watch_prefix("fail/");
    assert_eq!(word(&mut mirror).await, "synced fail/a=9");
    let mut lease = client.lease(Duration::from_secs(4)).await.unwrap();

    gate.close();
    assert_eq!(word(&mut mirror).await, "disconnected");
    assert_eq!(word(&mut mirror).await, "resumed");
    // A request that may have been sent is not repeated, so one of them may have been lost.
    if let Err(error) = client.put("fail/a", "10").await {
        assert!(error.is_transient(), "{error}");
        client.put("fail/a", "10").await.unwrap();
    }
    assert_eq!(word(&mut mirror).await, "fail/a=10");
    let outlived = tokio::time::timeout(Duration::from_secs(6), lease.lost()).await;
    assert!(outlived.is_err(), "the lease was not renewed elsewhere");
}
