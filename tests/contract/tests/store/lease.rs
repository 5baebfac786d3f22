//! Keys that end with their owner.

use store::wire::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, PutRequest,
};
use tokio_stream::iter;

use crate::backend::Server;
use crate::wire::{Wire, put, text, watch};

pub(crate) async fn an_expired_lease_deletes_its_keys(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let grant = LeaseGrantRequest { ttl: 2, id: 0 };
    let lease = wire.lease.lease_grant(grant).await.unwrap().into_inner();
    let mut last = 0;
    for key in ["exp/a", "exp/b"] {
        let leased = PutRequest {
            lease: lease.id,
            ..put(key, "1")
        };
        last = wire
            .kv
            .put(leased)
            .await
            .unwrap()
            .into_inner()
            .header
            .unwrap()
            .revision;
    }
    let mut watching = wire.watch(watch("exp/", "exp0", 0)).await;
    watching.created().await;
    let expected = format!("{r}:-exp/a {r}:-exp/b", r = last + 1);
    assert_eq!(watching.events(2).await, expected);
    let gone = LeaseTimeToLiveRequest {
        id: lease.id,
        keys: false,
    };
    assert_eq!(
        wire.lease
            .lease_time_to_live(gone)
            .await
            .unwrap()
            .into_inner()
            .ttl,
        -1
    );
}

pub(crate) async fn leases_are_granted_renewed_shown_and_revoked(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let id = 123_456_789;
    let granted = wire
        .lease
        .lease_grant(LeaseGrantRequest { ttl: 600, id })
        .await
        .unwrap();
    assert_eq!((granted.get_ref().id, granted.get_ref().ttl), (id, 600));
    wire.kv
        .put(PutRequest {
            lease: id,
            ..put("lease/a", "1")
        })
        .await
        .unwrap();
    wire.kv
        .put(PutRequest {
            lease: id,
            ..put("lease/b", "1")
        })
        .await
        .unwrap();
    wire.put("lease/b", "moved off the lease").await;

    let look = LeaseTimeToLiveRequest { id, keys: true };
    let view = wire
        .lease
        .lease_time_to_live(look)
        .await
        .unwrap()
        .into_inner();
    let keys: Vec<String> = view.keys.iter().map(|key| text(key)).collect();
    assert_eq!((view.granted_ttl, keys.join(" ")), (600, "lease/a".into()));
    assert!((1..=600).contains(&view.ttl), "{}", view.ttl);
    let all = wire
        .lease
        .lease_leases(LeaseLeasesRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(all.leases.iter().any(|lease| lease.id == id));

    let renewals = [
        LeaseKeepAliveRequest { id },
        LeaseKeepAliveRequest { id: 4242 },
    ];
    let mut replies = wire
        .lease
        .lease_keep_alive(iter(renewals))
        .await
        .unwrap()
        .into_inner();
    for expected in [(id, 600), (4242, 0)] {
        let reply = replies.message().await.unwrap().unwrap();
        assert_eq!((reply.id, reply.ttl), expected);
    }

    wire.lease
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap();
    assert!(wire.get("lease/a").await.is_none());
    assert!(wire.get("lease/b").await.is_some());
}
