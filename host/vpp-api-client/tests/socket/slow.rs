//! A request that takes long keeps its client waiting, in order, and nobody else.

use vpp_api::ApiError;
use vpp_api::interface::{CreateLoopback, CreateLoopbackInstance};
use vpp_api_client::Client;
use vpp_api_client::server::Limits;

use crate::toy::{FATAL, Running};

async fn create(client: &Client) -> u32 {
    let reply = client.request(&CreateLoopback::default()).await;
    reply.expect("one more").sw_if_index.0
}

fn slow(instance: u32) -> CreateLoopbackInstance {
    CreateLoopbackInstance {
        is_specified: true,
        user_instance: instance,
        ..CreateLoopbackInstance::default()
    }
}

#[tokio::test]
async fn the_client_of_a_slow_request_is_answered_in_order_and_others_at_once() {
    let running = Running::start(Limits::default());
    let (patient, other) = (running.client().await, running.client().await);
    let first = slow(1);
    let long = patient.request(&first);
    let behind = async {
        let all = (0..3).map(|_| create(&patient));
        let mut indices = Vec::new();
        for one in all {
            indices.push(one.await);
        }
        indices
    };
    let meanwhile = async {
        let index = create(&other).await;
        running.gate.send(()).expect("the work waits");
        index
    };
    let (long, behind, meanwhile) = tokio::join!(biased; long, behind, meanwhile);
    assert_eq!(meanwhile, 1, "nobody else waits");
    assert_eq!(long.expect("it is made").sw_if_index.0, 2);
    assert_eq!(behind, [3, 4, 5]);
}

#[tokio::test]
async fn slow_requests_of_two_clients_are_done_in_turn() {
    let running = Running::start(Limits::default());
    let clients = [running.client().await, running.client().await];
    for _ in 0..4 {
        running.gate.send(()).expect("the work waits");
    }
    let many = |at: usize| {
        let client = &clients[at];
        async move {
            let mut last = 0;
            for _ in 0..2 {
                let reply = client.request(&slow(1)).await.expect("it is made");
                assert!(reply.sw_if_index.0 > last);
                last = reply.sw_if_index.0;
            }
            last
        }
    };
    let (one, other) = tokio::join!(many(0), many(1));
    assert_eq!(one.max(other), 4);
}

#[tokio::test]
async fn a_slow_request_that_is_refused_or_panics_is_answered_and_the_next_is_served() {
    let running = Running::start(Limits::default());
    let client = running.client().await;
    let refused = client.request(&CreateLoopbackInstance::default()).await;
    let error = refused.expect_err("it is refused").api_error();
    assert_eq!(error, Some(ApiError::InvalidValue));
    running.gate.send(()).expect("the work waits");
    let fatal = client.request(&slow(FATAL)).await;
    let error = fatal.expect_err("it panics").api_error();
    assert_eq!(error, Some(ApiError::Unspecified));
    running.gate.send(()).expect("the work waits");
    let next = client.request(&slow(1)).await.expect("it is made");
    assert_eq!(next.sw_if_index.0, 1);
}

#[tokio::test]
async fn a_client_that_leaves_harms_nobody() {
    let running = Running::start(Limits::default());
    let leaving = running.client().await;
    let task = tokio::spawn(async move { leaving.request(&slow(1)).await });
    let other = running.client().await;
    while running
        .handle
        .counters()
        .requests
        .load(std::sync::atomic::Ordering::Relaxed)
        < 3
    {
        tokio::task::yield_now().await;
    }
    task.abort();
    running.gate.send(()).expect("the work waits");
    running.gate.send(()).expect("the work waits");
    let next = other.request(&slow(1)).await.expect("it is made");
    assert_eq!(next.sw_if_index.0, 2, "the first one was made, too");
}
