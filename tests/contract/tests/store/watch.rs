//! Following changes.

use store::wire::watch_create_request::Filter;
use store::wire::watch_request::Request;
use store::wire::{
    CompactionRequest, TxnRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
};

use crate::backend::Server;
use crate::wire::{Wire, delete, op, put, revision, text, watch};

pub(crate) async fn a_watch_replays_history_in_order_and_goes_on(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let r = wire.put("w/a", "1").await;
    wire.put("other", "1").await;
    let many = TxnRequest {
        success: vec![
            op(put("w/b", "1")),
            op(put("w/c", "1")),
            op(delete("w/a", "")),
        ],
        ..Default::default()
    };
    wire.kv.txn(many).await.unwrap();
    let mut watching = wire.watch(watch("w/", "w0", r)).await;
    watching.created().await;
    let past = format!("{r}:+w/a=1 {t}:+w/b=1 {t}:+w/c=1 {t}:-w/a", t = r + 2);
    assert_eq!(watching.events(4).await, past);
    wire.put("w/d", "1").await;
    wire.put("w/d", "2").await;
    wire.delete("w/d").await;
    let future = format!("{}:+w/d=1 {}:+w/d=2 {}:-w/d", r + 3, r + 4, r + 5);
    assert_eq!(watching.events(3).await, future);
}

pub(crate) async fn filters_and_previous_values_apply(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let r = wire.put("wf/a", "1").await;
    wire.put("wf/a", "2").await;
    wire.delete("wf/a").await;
    let create = WatchCreateRequest {
        prev_kv: true,
        filters: vec![Filter::NoPut.into()],
        ..watch("wf/a", "", r)
    };
    let mut watching = wire.watch(create).await;
    watching.created().await;
    let response = watching.next().await;
    assert_eq!(response.events.len(), 1);
    let previous = response.events[0].prev_kv.as_ref().unwrap();
    assert_eq!(
        (text(&previous.value), previous.mod_revision),
        ("2".into(), r + 1)
    );
    let puts = WatchCreateRequest {
        filters: vec![Filter::NoDelete.into()],
        ..watch("wf/a", "", r)
    };
    let mut watching = wire.watch(puts).await;
    watching.created().await;
    wire.put("wf/a", "3").await;
    let expected = format!("{r}:+wf/a=1 {}:+wf/a=2 {}:+wf/a=3", r + 1, r + 3);
    assert_eq!(watching.events(3).await, expected);
}

pub(crate) async fn a_compacted_start_revision_cancels_the_watch(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let r = wire.put("wc/a", "1").await;
    wire.put("wc/a", "2").await;
    let border = wire.put("wc/a", "3").await;
    wire.kv
        .compact(CompactionRequest {
            revision: border,
            physical: true,
        })
        .await
        .unwrap();
    let mut watching = wire.watch(watch("wc/a", "", r)).await;
    let id = watching.created().await.watch_id;
    let end = watching.next().await;
    assert!(end.canceled && end.events.is_empty(), "{end:?}");
    assert_eq!((end.watch_id, end.compact_revision), (id, border));
    let mut watching = wire.watch(watch("wc/a", "", border)).await;
    watching.created().await;
    assert_eq!(watching.events(1).await, format!("{border}:+wc/a=3"));
}

pub(crate) async fn progress_follows_all_events(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let r = wire.put("wp/a", "1").await;
    let mut watching = wire.watch(watch("wp/", "wp0", r)).await;
    watching.created().await;
    assert_eq!(watching.events(1).await, format!("{r}:+wp/a=1"));
    let elsewhere = wire.put("elsewhere", "1").await;
    watching
        .ask(Request::Progress(WatchProgressRequest {}))
        .await;
    let progress = watching.next().await;
    assert!(
        progress.events.is_empty() && !progress.canceled,
        "{progress:?}"
    );
    assert_eq!(
        (progress.watch_id, revision(&progress.header)),
        (-1, elsewhere)
    );
}

pub(crate) async fn watchers_share_a_stream_and_are_canceled_alone(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let mut watching = wire.watch(watch("ws/a", "", 0)).await;
    let first = watching.created().await.watch_id;
    let second = WatchCreateRequest {
        watch_id: 77,
        ..watch("ws/b", "", 0)
    };
    watching.ask(Request::Create(second.clone())).await;
    assert_eq!(watching.created().await.watch_id, 77);
    watching.ask(Request::Create(second)).await;
    let refused = watching.next().await;
    assert!(refused.created && refused.canceled, "{refused:?}");
    let reason = "mvcc: duplicate watch ID provided on the WatchStream";
    assert_eq!(refused.cancel_reason, reason);
    watching
        .ask(Request::Cancel(WatchCancelRequest { watch_id: first }))
        .await;
    let canceled = watching.next().await;
    assert_eq!((canceled.watch_id, canceled.canceled), (first, true));
    wire.put("ws/a", "1").await;
    wire.put("ws/b", "1").await;
    let response = watching.next().await;
    assert_eq!(
        (
            response.watch_id,
            text(&response.events[0].kv.as_ref().unwrap().key)
        ),
        (77, "ws/b".into())
    );
}

pub(crate) async fn a_future_start_revision_is_waited_for(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let r = wire.put("wn/a", "0").await;
    let mut watching = wire.watch(watch("wn/a", "", r + 2)).await;
    watching.created().await;
    wire.put("wn/a", "1").await;
    wire.put("wn/a", "2").await;
    assert_eq!(watching.events(1).await, format!("{}:+wn/a=2", r + 2));
}
