//! The event loop against a recording dataplane: events in, operations and answers out.

mod bench;

use std::time::Duration;

use model::rendered::EndPod;
use model::{Key as StoreKey, NodeId, ObjectName, OnFailure};
use tonic::Code;

use super::RETRY;
use crate::event::{Event, Mirrored};
use bench::{Bench, attached, chain, cluster, end, is_open, now};

const CLIENT: &[(&str, &str)] = &[("app", "client")];
const MILLISECOND: Duration = Duration::from_millis(1);

fn named(pod: &str, address: &str) -> EndPod {
    EndPod {
        pod: ObjectName::parse("default", pod).unwrap(),
        addresses: vec![address.parse().unwrap()],
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_is_one_batch_and_answered_when_it_is_acknowledged() {
    let mut bench = Bench::ready().await;
    bench.is_slow = true;
    let mut added = bench.add("a", &[]).await;
    assert!(is_open(&mut added), "answered before the dataplane did");
    assert_eq!(bench.take().len(), 1);
    bench.is_slow = false;
    bench.serve().await;
    let pod = now(added).unwrap();
    assert_eq!(
        pod.interfaces[0].addresses,
        ["10.1.1.2".parse::<std::net::IpAddr>().unwrap()]
    );
    assert!(
        !bench
            .outgoing()
            .contains_key("/weft/v1/attachments/default/a")
    );
    bench.attach("b", &[]).await;
    assert!(
        bench
            .outgoing()
            .contains_key("/weft/v1/attachments/default/b")
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_object_takes_the_whole_attachment_back() {
    let mut bench = Bench::ready().await;
    let before = bench.objects.clone();
    bench.refuses = Some("route 10.1.1.2");
    let refusal = now(bench.add("a", &[]).await).unwrap_err();
    assert!(refusal.message().contains("route 10.1.1.2/32"), "{refusal}");
    bench.refuses = None;
    bench.serve().await;
    assert_eq!(bench.objects, before, "something of the pod stayed");
    assert!(bench.agent.facts.pods.is_empty());
    let kept = bench.outgoing();
    assert_ne!(kept.get("/weft/v1/attachments/default/a"), Some(&true));
    bench.restart();
    assert!(
        bench.agent.facts.pods.is_empty(),
        "the journal remembers it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_detached_pod_leaves_nothing_and_is_withdrawn() {
    let mut bench = Bench::ready().await;
    let before = bench.objects.clone();
    bench.attach("a", &[]).await;
    let removed = now(bench.detach("a").await).unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(bench.objects, before);
    assert_eq!(
        bench.outgoing().get("/weft/v1/attachments/default/a"),
        Some(&false)
    );
    assert_eq!(now(bench.detach("a").await).unwrap().len(), 0, "again");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_change_costs_no_operation() {
    let mut bench = Bench::ready().await;
    bench.attach("a", &[]).await;
    bench.put_chain(&chain(OnFailure::FailClosed)).await;
    bench.take();
    bench.put_node("n2", 2).await;
    bench.put_chain(&chain(OnFailure::FailClosed)).await;
    bench.event(Event::Claimed(NodeId(1))).await;
    bench.connect().await;
    bench.wait(Duration::from_secs(60)).await;
    assert_eq!(bench.take_ops(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_a_pod_does_not_follow_the_number_of_pods() {
    let mut bench = Bench::ready().await;
    bench.attach("first", &[]).await;
    let alone = bench.take_ops().len();
    for number in 0..60 {
        bench.attach(&format!("p{number}"), &[]).await;
    }
    bench.take();
    let pod = bench.attach("last", &[]).await;
    let ops = bench.take_ops();
    let tag = render::pod::tag("last", "eth0").to_string();
    let address = pod.interfaces[0].addresses[0].to_string();
    let names_it = |op: &String| op.contains(&tag) || op.contains(&address);
    assert!(ops.iter().all(names_it), "{ops:#?}");
    assert_eq!(ops.len(), alone);
}

#[tokio::test(start_paused = true)]
async fn a_read_back_repairs_what_differs_and_nothing_else() {
    let mut bench = Bench::ready().await;
    let pod = bench.attach("a", &[]).await;
    bench.take();
    let host = format!("{}/32", pod.interfaces[0].addresses[0]);
    let route = render::Key::Route(host.parse().unwrap());
    bench.objects.remove(&route).unwrap();
    bench.connect().await;
    assert_eq!(
        bench.take_ops(),
        [format!(
            "+ route {host}: via {} {}",
            pod.interfaces[0].addresses[0],
            render::pod::tag("a", "eth0")
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_adopts_its_pods_without_an_operation() {
    let mut bench = Bench::ready().await;
    bench.attach("a", &[]).await;
    bench.wait(Duration::from_secs(1)).await;
    bench.restart();
    bench.take();
    bench.connect().await;
    bench.wait(Duration::from_secs(3)).await;
    assert_eq!(bench.take_ops(), Vec::<String>::new());
    let next = bench.attach("b", &[]).await;
    assert_eq!(next.interfaces[0].addresses[0].to_string(), "10.1.1.3");
}

#[tokio::test(start_paused = true)]
async fn a_dataplane_that_dies_fails_waiting_requests_and_gets_everything_anew() {
    let mut bench = Bench::ready().await;
    bench.attach("a", &[]).await;
    let before = bench.objects.clone();
    bench.is_slow = true;
    let added = bench.add("b", &[]).await;
    bench.lose_dataplane().await;
    assert_eq!(now(added).unwrap_err().code(), Code::Unavailable);
    let refused = now(bench.add("c", &[]).await).unwrap_err();
    assert!(refused.message().contains("the dataplane is not connected"));
    bench.is_slow = false;
    bench.connect().await;
    assert_eq!(
        bench.objects, before,
        "pod `a` and the node, nothing of `b`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_with_growing_pauses() {
    let mut bench = Bench::ready().await;
    bench.refuses = Some("mesh/3");
    bench.put_node("n3", 3).await;
    let mut pause = RETRY.0;
    for round in 1..=4 {
        bench.wait(pause - MILLISECOND).await;
        assert_eq!(bench.read_backs, round - 1, "too early by a millisecond");
        bench.wait(MILLISECOND).await;
        assert_eq!(bench.read_backs, round);
        pause *= 2;
    }
    let state = bench.agent.describe();
    assert!(state.applied < state.desired);
    assert_eq!(state.failed[0].error, "refused");
    bench.refuses = None;
    bench.wait(pause).await;
    let state = bench.agent.describe();
    assert_eq!((state.applied, state.failed.len()), (state.desired, 0));
    let done = bench.read_backs;
    bench.wait(RETRY.1 * 2).await;
    assert_eq!(bench.read_backs, done, "still trying");
}

#[tokio::test(start_paused = true)]
async fn pods_come_up_and_are_told_later_while_the_store_is_away() {
    let mut bench = Bench::ready().await;
    bench.put_chain(&chain(OnFailure::FailClosed)).await;
    bench.lose_store().await;
    bench.attach("a", &[]).await;
    now(bench.chained("a").await).unwrap();
    assert_eq!(
        bench.outgoing().get("/weft/v1/attachments/default/a"),
        Some(&true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_of_a_chain_is_steered_by_its_own_batch() {
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    web.entries = vec![end("n1", 1, Vec::new())];
    bench.put_chain(&web).await;
    bench.take();
    let pod = bench.attach("a", CLIENT).await;
    let batches = bench.take();
    let tag = render::pod::tag("a", "eth0").to_string();
    let is_binding = |op: &String| op.contains("policy") && op.contains(&format!("on {tag}"));
    assert_eq!(batches.len(), 1);
    assert!(batches[0].iter().any(is_binding), "{batches:#?}");
    // The other nodes hear of it through the controller.
    let mut waiting = bench.chained("a").await;
    assert!(is_open(&mut waiting));
    web.entries[0].pods = vec![named("a", &pod.interfaces[0].addresses[0].to_string())];
    bench.put_chain(&web).await;
    let elsewhere = now(waiting).unwrap();
    assert_eq!(elsewhere.len(), 1);
    let nodes: Vec<_> = elsewhere[0].nodes.iter().map(|n| n.as_str()).collect();
    assert_eq!(nodes, ["n2"], "firewall and server are there");
}

#[tokio::test(start_paused = true)]
async fn steering_that_fails_fails_the_attachment() {
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    web.entries = vec![end("n1", 1, Vec::new())];
    bench.put_chain(&web).await;
    bench.refuses = Some("policy");
    let refusal = now(bench.add("a", CLIENT).await).unwrap_err();
    assert!(refusal.message().contains("policy"), "{refusal}");
    assert!(bench.agent.facts.pods.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_silent_costs_time_but_not_a_pod_that_is_steered() {
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    web.entries = vec![end("n1", 1, Vec::new())];
    bench.put_chain(&web).await;
    bench.attach("a", CLIENT).await;
    let mut waiting = bench.chained("a").await;
    bench.wait(Duration::from_secs(2) - MILLISECOND).await;
    assert!(is_open(&mut waiting));
    bench.wait(MILLISECOND).await;
    now(waiting).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_an_end_of_its_chain_comes_up_if_the_chain_fails_open_only() {
    for (on_failure, code) in [
        (OnFailure::FailOpen, None),
        (OnFailure::FailClosed, Some(Code::Unavailable)),
    ] {
        let mut bench = Bench::ready().await;
        bench.put_chain(&chain(on_failure)).await;
        bench.attach("a", CLIENT).await;
        let mut waiting = bench.chained("a").await;
        assert!(is_open(&mut waiting));
        bench.wait(Duration::from_secs(60)).await;
        let outcome = now(waiting);
        assert_eq!(outcome.err().map(|e| e.code()), code, "{on_failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_not_answered_before_its_first_end_is_in_the_dataplane() {
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    bench.put_chain(&web).await;
    let pod = bench.attach("a", CLIENT).await;
    let mut waiting = bench.chained("a").await;
    let address = pod.interfaces[0].addresses[0].to_string();
    web.entries = vec![end("n1", 1, vec![named("a", &address)])];
    bench.is_slow = true;
    bench.put_chain(&web).await;
    assert!(is_open(&mut waiting), "sent is not done");
    bench.is_slow = false;
    bench.serve().await;
    now(waiting).unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_labels_move_a_pod_into_a_chain_and_out_of_it() {
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    web.entries = vec![end("n1", 1, Vec::new())];
    bench.put_chain(&web).await;
    bench.attach("a", &[]).await;
    let steered = |bench: &Bench| {
        let mut keys = bench.objects.keys();
        keys.any(|key| matches!(key, render::Key::PolicyBinding(..)))
    };
    assert!(!steered(&bench));
    bench.put_pod("a", CLIENT).await;
    assert!(steered(&bench));
    bench.put_pod("a", &[]).await;
    assert!(!steered(&bench));
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_number_is_another_s_serves_no_add_and_says_whose_it_is() {
    let mut bench = Bench::ready().await;
    bench.attach("a", &[]).await;
    let objects = bench.objects.clone();
    let reason = "node number 1 of this node belongs to node `twin`".to_owned();
    bench.event(Event::NoNumber(reason.clone())).await;
    let refused = bench.status().await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::FailedPrecondition, &*reason)
    );
    let refused = now(bench.add("b", &[]).await).unwrap_err();
    assert_eq!(refused.message(), reason);
    assert_eq!(bench.agent.describe().not_ready, [reason]);
    assert_eq!(bench.objects, objects, "pods that are there stay");
    bench.event(Event::Claimed(NodeId(1))).await;
    bench.status().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_configuration_in_the_store_is_refused_by_the_settings_that_differ() {
    let mut bench = Bench::ready().await;
    let mut other = cluster();
    other.mtu = 9000;
    bench.put(Mirrored::Config, StoreKey::Config, &other).await;
    let refused = bench.status().await.unwrap_err();
    assert!(
        refused
            .message()
            .contains("`mtu` is 1450 here and 9000 there"),
        "{refused}"
    );
    bench
        .put(Mirrored::Config, StoreKey::Config, &"nonsense")
        .await;
    let refused = bench.status().await.unwrap_err();
    assert!(refused.message().contains("/weft/v1/config"), "{refused}");
    bench
        .put(Mirrored::Config, StoreKey::Config, &cluster())
        .await;
    bench.status().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_uplink_without_carrier_is_reported() {
    let mut bench = Bench::ready().await;
    assert_eq!(bench.agent.describe().connected.get("uplink"), None);
    for is_up in [true, false, true] {
        bench.event(Event::Carrier { is_up }).await;
        assert_eq!(bench.agent.describe().connected.get("uplink"), Some(&is_up));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_takes_the_attachment_back() {
    let mut bench = Bench::ready().await;
    let before = bench.objects.clone();
    bench.is_slow = true;
    drop(bench.add("a", &[]).await);
    bench.is_slow = false;
    bench.serve().await;
    bench.serve().await;
    assert_eq!(bench.objects, before);
    let (answer, reply) = tokio::sync::oneshot::channel();
    let attachment = attached("a");
    bench.event(Event::Commit { attachment, answer }).await;
    assert_eq!(now(reply).unwrap_err().code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_acknowledged_when_it_is_in_the_dataplane_and_by_its_nodes_only() {
    const PLACE: &str = "/weft/applied/v1/n1/default/web";
    let mut bench = Bench::ready().await;
    let mut web = chain(OnFailure::FailClosed);
    bench.put_chain(&web).await;
    assert_eq!(bench.outgoing().get(PLACE), None, "nothing of it is here");
    web.entries = vec![end("n1", 1, Vec::new())];
    bench.is_slow = true;
    bench.put_chain(&web).await;
    assert_eq!(bench.outgoing().get(PLACE), None, "it is only sent");
    bench.is_slow = false;
    bench.serve().await;
    assert_eq!(bench.outgoing().get(PLACE), Some(&true));
    bench.drop_chain(&web).await;
    assert_eq!(bench.outgoing().get(PLACE), Some(&false));
}
