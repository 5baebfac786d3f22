//! The store contract: one battery, run against the embedded server and against etcd.
//!
//! Both run as processes of their own on loopback, so that they can be killed. Checks talk plain
//! gRPC where the protocol itself is the subject, and `store::client` where the client is.

#![expect(clippy::unwrap_used, reason = "a check that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "progress, and the loud skip")]

mod backend;
mod client;
mod etcdctl;
mod kv;
mod lease;
mod mirror;
mod restart;
mod txn;
mod watch;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use backend::{Backend, Server};

/// Nothing here takes this long; a check that does has failed.
const PATIENCE: Duration = Duration::from_secs(30);

type Check = for<'a> fn(&'a mut Server) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A check with its name, as a plain function pointer.
macro_rules! checks {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        &[$((stringify!($name), |server| Box::pin($module::$name(server)))),+]
    };
}

const BATTERY: &[(&str, Check)] = checks![
    kv::revisions_count_changes_and_versions_count_writes,
    kv::range_options_select_sort_and_limit,
    kv::put_options_keep_and_return_the_previous_value,
    kv::delete_range_counts_and_returns_what_it_deleted,
    kv::refusals_have_etcds_codes_and_messages,
    kv::compaction_forgets_the_past_and_nothing_else,
    txn::every_kind_of_comparison_decides_as_documented,
    txn::a_transaction_is_one_revision_and_reads_its_own_writes,
    txn::nested_transactions_are_decided_on_the_state_before,
    watch::a_watch_replays_history_in_order_and_goes_on,
    watch::filters_and_previous_values_apply,
    watch::a_compacted_start_revision_cancels_the_watch,
    watch::progress_follows_all_events,
    watch::watchers_share_a_stream_and_are_canceled_alone,
    watch::a_future_start_revision_is_waited_for,
    lease::an_expired_lease_deletes_its_keys,
    lease::leases_are_granted_renewed_shown_and_revoked,
    client::compare_and_swap_loses_to_a_concurrent_change,
    client::long_listings_are_paged_at_one_revision,
    client::a_lease_handle_renews_and_notices_its_end,
    client::a_dead_endpoint_is_passed_over,
    etcdctl::etcdctl_reads_writes_and_compares,
    etcdctl::etcdctl_holds_leases,
    etcdctl::etcdctl_watches,
    etcdctl::etcdctl_sees_a_healthy_member,
    mirror::a_mirror_follows_its_prefix,
    mirror::an_outage_is_followed_by_the_difference_only,
    restart::acknowledged_writes_survive_a_kill,
    restart::a_mirror_resumes_after_a_restart,
    restart::a_wiped_store_is_a_new_snapshot,
];

/// What etcd can do since 3.4.31 and 3.5.13; Debian's is older, and then a mirror lists again.
const REPLAY: &[(&str, Check)] = checks![mirror::the_cost_of_an_outage_follows_what_changed];

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    run(Backend::Embedded, &[REPLAY, BATTERY]).await;
}

#[tokio::test]
async fn etcd_keeps_the_contract() {
    if !Backend::Etcd.is_available() {
        eprintln!("SKIPPED: etcd is not installed (Debian: etcd-server), contract not compared");
        return;
    }
    run(Backend::Etcd, &[BATTERY]).await;
}

/// Not a check: the process that [`Backend::Embedded`] starts.
#[tokio::test]
async fn embedded_server_process() {
    backend::serve_if_asked().await;
}

async fn run(backend: Backend, batteries: &[&[(&str, Check)]]) {
    let mut server = Server::start(backend).await;
    for (name, check) in batteries.iter().copied().flatten() {
        eprintln!("{backend:?}: {name}");
        if tokio::time::timeout(PATIENCE, check(&mut server))
            .await
            .is_err()
        {
            panic!("{backend:?}: `{name}` did not finish within {PATIENCE:?}");
        }
    }
}
