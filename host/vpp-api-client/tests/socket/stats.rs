//! The statistics segment: our writer, our reader, and the reader of VPP's Python client.

use std::process::Command;
use std::time::Duration;

use vpp_api::stats::{Combined, Image};
use vpp_api_client::server::{PublishError, StatsPublisher, stats_segment};
use vpp_api_client::stats::{StatsError, StatsSegment, Value};

use crate::papi::python;
use crate::toy::PATIENCE;

const SCRIPT: &str = "
import sys
from vpp_papi.vpp_stats import VPPStats
stats = VPPStats(sys.argv[1])
stats.connect()
assert stats['/if/names'] == ['local0', 'loop0'], stats['/if/names']
assert stats['/if/rx'][:, 1].sum_packets() == 30, stats['/if/rx']
assert stats['/if/rx'][:, 1].sum_octets() == 3000
assert stats['/interfaces/loop0/drops'].sum() == 9
assert stats['/sys/num_worker_threads'] == 2
print('ok')
";

fn image(packets: u64) -> Image {
    let counter = |packets| Combined {
        packets,
        bytes: packets * 100,
    };
    let mut image = Image::new();
    let threads = [
        vec![counter(0), counter(packets)],
        vec![counter(0), counter(20)],
    ];
    image.combined("/if/rx", &threads).expect("fits");
    image
        .simple("/if/drops", &[vec![0, 4], vec![0, 5]])
        .expect("fits");
    image
        .names("/if/names", &[Some("local0"), Some("loop0"), None])
        .expect("fits");
    image
        .symlink("/interfaces/loop0/drops", "/if/drops", 1)
        .expect("exists");
    image.gauge("/sys/num_worker_threads", 2).expect("fits");
    image
}

fn serve() -> (tempfile::TempDir, std::path::PathBuf, StatsPublisher) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stats.sock");
    let (mut publisher, listener) = stats_segment(&path, 1 << 20).expect("the path is free");
    publisher.publish(image(10)).expect("fits");
    tokio::spawn(async move { listener.serve().await });
    (folder, path, publisher)
}

#[tokio::test]
async fn what_is_published_is_read() {
    let (_folder, path, mut publisher) = serve();
    let segment = StatsSegment::connect(&path, PATIENCE).await.expect("there");
    let all = segment.read(|_| true).await.expect("consistent");
    assert_eq!(all.len(), 5);
    assert_eq!(
        all["/if/rx"].combined(1),
        Some(Combined {
            packets: 30,
            bytes: 3000
        })
    );
    assert_eq!(
        all["/interfaces/loop0/drops"],
        Value::Simple(vec![vec![4], vec![5]])
    );
    assert_eq!(all["/sys/num_worker_threads"], Value::Number(2));
    let names = ["local0", "loop0"].map(|name| Some(name.to_owned()));
    assert_eq!(
        all["/if/names"],
        Value::Names([&names[..], &[None]].concat())
    );

    publisher.publish(image(70)).expect("fits");
    let rx = segment
        .read(|name| name == "/if/rx")
        .await
        .expect("consistent");
    assert_eq!(rx.len(), 1);
    assert_eq!(rx["/if/rx"].packets(1), Some(90));
    publisher.publish(Image::new()).expect("fits");
    assert!(segment.read(|_| true).await.expect("consistent").is_empty());
}

#[tokio::test]
async fn too_much_is_refused_and_readers_keep_what_they_have() {
    let (_folder, path, mut publisher) = serve();
    let mut big = Image::new();
    big.simple("/big", &[vec![0; 1 << 20]])
        .expect("fits an image");
    assert!(matches!(
        publisher.publish(big),
        Err(PublishError::Full { .. })
    ));
    let segment = StatsSegment::connect(&path, PATIENCE).await.expect("there");
    assert_eq!(segment.read(|_| true).await.expect("consistent").len(), 5);
}

#[tokio::test]
async fn a_reader_cannot_write_and_an_absent_socket_is_named() {
    let (folder, path, _publisher) = serve();
    assert!(matches!(
        stats_segment(&path, 4096),
        Err(PublishError::InUse(_))
    ));
    let nowhere = folder.path().join("nowhere.sock");
    let error = StatsSegment::connect(&nowhere, Duration::from_secs(1)).await;
    assert!(matches!(error, Err(StatsError::Connect { .. })));
}

#[tokio::test]
async fn readers_see_whole_shapes_while_shapes_change() {
    let (_folder, path, mut publisher) = serve();
    let segment = StatsSegment::connect(&path, PATIENCE).await.expect("there");
    let writer = std::thread::spawn(move || {
        for round in 0..300_usize {
            let mut image = Image::new();
            let columns = 1 + round % 50;
            image.simple("/a", &[vec![7; columns]]).expect("fits");
            image
                .simple("/b", &[vec![7; columns], vec![7; columns]])
                .expect("fits");
            publisher.publish(image).expect("fits");
        }
    });
    while !writer.is_finished() {
        let all = segment
            .read(|name| name.len() == 2)
            .await
            .expect("consistent");
        let (Some(Value::Simple(a)), Some(Value::Simple(b))) = (all.get("/a"), all.get("/b"))
        else {
            assert!(all.is_empty(), "{all:?}");
            continue;
        };
        assert_eq!((a[0].len(), a[0].len()), (b[0].len(), b[1].len()));
        assert!(
            a.iter().chain(b).flatten().all(|counter| *counter == 7),
            "{all:?}"
        );
    }
    writer.join().expect("no panic");
}

#[tokio::test]
async fn the_python_client_of_vpp_reads_our_segment() {
    let Some(python) = python() else { return };
    let (_folder, path, _publisher) = serve();
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(path);
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.expect("no panic").expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && output.stdout.ends_with(b"ok\n"),
        "{errors}"
    );
}
