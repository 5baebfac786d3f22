//! Our client against our server.

use std::time::Duration;

use vpp_api::acl::AclDump;
use vpp_api::interface::{
    CreateLoopback, DeleteLoopback, SwInterfaceDump, SwInterfaceEvent, SwInterfaceSetFlags,
    SwInterfaceTxPlacementGet, WantInterfaceEvents,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::memclnt::{ApiVersions, ControlPing, GetApiJson, GetFirstMsgId};
use vpp_api::memif::{MemifCreateV2, MemifDump};
use vpp_api::vlib::CliInband;
use vpp_api::vpe::ShowVersion;
use vpp_api::{ApiError, FixedString};
use vpp_api_client::server::Limits;
use vpp_api_client::{Client, ConnectError, Disconnect, EventError, Options, RequestError, need};

use crate::toy::{PATIENCE, Running, connect};

fn up(index: u32) -> SwInterfaceSetFlags {
    SwInterfaceSetFlags {
        sw_if_index: InterfaceIndex(index),
        flags: IfStatusFlags::ADMIN_UP,
    }
}

#[tokio::test]
async fn requests_are_answered_and_dumps_end() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    assert_eq!(
        client
            .request(&ShowVersion::default())
            .await
            .expect("ok")
            .version,
        "26.10-toy"
    );
    let pid = client
        .request(&ControlPing::default())
        .await
        .expect("ok")
        .vpe_pid;
    assert_eq!(pid, std::process::id());
    assert_eq!(
        client.dump(&SwInterfaceDump::default()).await.expect("ok"),
        []
    );
    for index in 1..=3 {
        let reply = client
            .request(&CreateLoopback::default())
            .await
            .expect("ok");
        assert_eq!(reply.sw_if_index, InterfaceIndex(index));
    }
    client.request(&up(2)).await.expect("it exists");
    let dump = client.dump(&SwInterfaceDump::default()).await.expect("ok");
    let flags: Vec<_> = dump.iter().map(|details| details.flags.0).collect();
    assert_eq!(flags, [0, 1, 0]);
    assert_eq!(dump[1].interface_name, "loop1");
    assert_eq!(server.stop().await.interfaces.len(), 3);
}

#[tokio::test]
async fn refusals_carry_the_name_of_the_error() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    let error = client.request(&up(9)).await.expect_err("no such interface");
    assert_eq!(error.api_error(), Some(ApiError::InvalidSwIfIndex));
    let error = client
        .request(&DeleteLoopback::default())
        .await
        .expect_err("always");
    assert_eq!(error.to_string(), "`delete_loopback` was refused");
}

#[tokio::test]
async fn a_cursor_is_followed_to_its_end() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    for _ in 0..5 {
        client
            .request(&CreateLoopback::default())
            .await
            .expect("ok");
    }
    let all = client
        .cursor_dump(SwInterfaceTxPlacementGet::default())
        .await
        .expect("ok");
    let indexes: Vec<_> = all.iter().map(|details| details.sw_if_index.0).collect();
    assert_eq!(indexes, [1, 2, 3, 4, 5]);
    assert_eq!(all[0].threads, [0, 1]);
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers() {
    let server = Running::start(Limits::default());
    let options = Options {
        in_flight_max: 4,
        ..Options::default()
    };
    let client = Client::connect(&server.path(), options)
        .await
        .expect("there");
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let cmd = format!("<{number}>");
                let dump = client.dump(&SwInterfaceDump::default()).await;
                assert_eq!(dump.expect("ok"), []);
                let reply = client
                    .request(&CliInband { cmd: cmd.clone() })
                    .await
                    .expect("ok");
                assert_eq!(reply.reply, cmd.repeat(2));
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn events_reach_subscribers_until_they_unsubscribe() {
    let server = Running::start(Limits::default());
    let (client, other) = (server.client().await, server.client().await);
    client
        .request(&CreateLoopback::default())
        .await
        .expect("ok");
    let mut events = client.events::<SwInterfaceEvent>();
    let mut silent = other.events::<SwInterfaceEvent>();
    let want = |enable_disable| WantInterfaceEvents {
        enable_disable,
        pid: 77,
    };
    client.request(&want(1)).await.expect("the first time");
    let twice = client.request(&want(1)).await.expect_err("the second time");
    assert_eq!(twice.api_error(), Some(ApiError::InvalidRegistration));

    client.request(&up(1)).await.expect("ok");
    let event = events.next().await.expect("an event");
    assert_eq!((event.pid, event.sw_if_index.0), (77, 1));
    assert_eq!(event.flags, IfStatusFlags::ADMIN_UP);
    let deleted = SwInterfaceEvent {
        deleted: true,
        ..Default::default()
    };
    let sent = deleted.clone();
    server
        .handle
        .post(move |_, out| out.publish(|_| sent.clone()))
        .await
        .expect("it runs");
    assert_eq!(events.next().await.expect("an event"), deleted);

    client.request(&want(0)).await.expect("ok");
    client.request(&up(1)).await.expect("ok");
    drop(server);
    drop(client);
    assert!(matches!(events.next().await, Err(EventError::Closed)));
    drop(other);
    assert!(matches!(silent.next().await, Err(EventError::Closed)));
}

#[tokio::test]
async fn a_client_that_disconnects_takes_its_clones_along() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    let clone = client.clone();
    client.disconnect().await;
    assert!(matches!(*clone.closed().await, Disconnect::Closed));
    let error = clone
        .request(&ControlPing::default())
        .await
        .expect_err("closed");
    assert!(
        matches!(error, RequestError::Disconnected { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_receiver_that_sleeps_learns_that_it_missed_events() {
    let server = Running::start(Limits::default());
    let options = Options {
        events_max: 2,
        ..Options::default()
    };
    let client = Client::connect(&server.path(), options)
        .await
        .expect("there");
    let mut events = client.events::<SwInterfaceEvent>();
    client
        .request(&CreateLoopback::default())
        .await
        .expect("ok");
    let want = WantInterfaceEvents {
        enable_disable: 1,
        pid: 0,
    };
    client.request(&want).await.expect("ok");
    for _ in 0..10 {
        client.request(&up(1)).await.expect("ok");
    }
    client.request(&ControlPing::default()).await.expect("ok");
    assert!(matches!(events.next().await, Err(EventError::Missed(8))));
    assert!(events.next().await.is_ok());
}

#[tokio::test]
async fn all_missing_messages_are_named_at_once() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    assert!(client.supports::<SwInterfaceDump>());
    assert!(!client.supports::<AclDump>());
    let error = client
        .dump(&AclDump::default())
        .await
        .expect_err("not served");
    assert!(
        matches!(
            error,
            RequestError::Unsupported {
                request: "acl_dump",
                ..
            }
        ),
        "{error}"
    );
    let required = vec![
        need::<MemifCreateV2>(),
        need::<SwInterfaceDump>(),
        need::<MemifDump>(),
    ];
    let options = Options {
        required,
        ..Options::default()
    };
    let error = Client::connect(&server.path(), options)
        .await
        .expect_err("two are missing");
    let ConnectError::Incompatible { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        source.to_string(),
        "2 messages are missing:\n  `memif_create_v2_8c7de5f7` is absent\n  \
         `memif_dump_51077d14` is absent\nhint: another VPP release, or a plugin that is not loaded"
    );
}

#[tokio::test]
async fn the_server_describes_itself() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    let versions = client
        .request(&ApiVersions::default())
        .await
        .expect("ok")
        .api_versions;
    let interface = versions
        .iter()
        .find(|version| version.name == "interface.api");
    assert_eq!(
        interface.map(|version| (version.major, version.minor)),
        Some((3, 2))
    );
    assert!(
        versions.iter().all(|version| version.name != "memif.api"),
        "not served"
    );
    let json = client
        .request(&GetApiJson::default())
        .await
        .expect("ok")
        .json;
    assert!(json.contains("\"sw_interface_dump\""));
    let name = FixedString::truncated("memclnt_b197c551");
    let first = client
        .request(&GetFirstMsgId { name })
        .await
        .expect("ok")
        .first_msg_id;
    assert_eq!(first, 10);
}

#[tokio::test]
async fn the_end_of_the_server_is_noticed_and_a_new_one_found() {
    let server = Running::start(Limits::default());
    let path = server.path();
    let client = connect(&path).await;
    server.stop().await;
    assert!(matches!(*client.closed().await, Disconnect::PeerClosed));
    let error = client
        .request(&ControlPing::default())
        .await
        .expect_err("gone");
    assert!(
        matches!(error, RequestError::Disconnected { .. }),
        "{error}"
    );

    std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    let waiting = tokio::spawn(async move { client.reconnect().await });
    tokio::task::yield_now().await;
    let again = Running::start(Limits::default());
    std::os::unix::fs::symlink(again.path(), &path).expect("linked");
    let client = waiting.await.expect("no panic").expect("it is back");
    client.request(&ControlPing::default()).await.expect("ok");
    let _ = std::fs::remove_dir_all(path.parent().expect("a folder"));
}

#[tokio::test]
async fn an_absent_socket_is_waited_for_and_then_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nowhere.sock");
    let options = Options {
        connect_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let error = Client::connect(&path, options)
        .await
        .expect_err("no one is there");
    assert!(error.to_string().contains("nowhere.sock"), "{error}");
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let server = Running::start(Limits::default());
    let client = server.client().await;
    let clone = client.clone();
    drop(client);
    clone
        .request(&ControlPing::default())
        .await
        .expect("still open");
    let mut events = clone.events::<SwInterfaceEvent>();
    drop(clone);
    let end = tokio::time::timeout(PATIENCE, events.next())
        .await
        .expect("in time");
    assert!(matches!(end, Err(EventError::Closed)));
}
