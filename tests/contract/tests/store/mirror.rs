//! The mirror, seen by its consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::client::{Mirror, MirrorEvent, StoreClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::backend::Server;

pub(crate) async fn a_mirror_follows_its_prefix(server: &mut Server) {
    let client = server.client();
    client.put("mir/b", "1").await.unwrap();
    client.put("mir/a", "1").await.unwrap();
    let mut mirror = client.watch_prefix("mir/");
    assert_eq!(word(&mut mirror).await, "synced mir/a=1 mir/b=1");
    client.put("mirror-not", "1").await.unwrap();
    client.put("mir/a", "2").await.unwrap();
    client.delete("mir/b").await.unwrap();
    assert_eq!(word(&mut mirror).await, "mir/a=2");
    assert_eq!(word(&mut mirror).await, "-mir/b");
}

pub(crate) async fn an_outage_is_followed_by_the_difference_only(server: &mut Server) {
    let direct = server.client();
    for key in ["out/changed", "out/deleted", "out/same", "out/twice"] {
        direct.put(key, "1").await.unwrap();
    }
    let gate = Gate::open(server.port(), 0).await;
    let through = StoreClient::new(&[gate.endpoint()], Duration::from_secs(5)).unwrap();
    let mut mirror = through.watch_prefix("out/");
    let all = "synced out/changed=1 out/deleted=1 out/same=1 out/twice=1";
    assert_eq!(word(&mut mirror).await, all);

    let port = gate.close();
    assert_eq!(word(&mut mirror).await, "disconnected");
    direct.put("out/twice", "2").await.unwrap();
    direct.put("out/new", "1").await.unwrap();
    direct.put("out/changed", "2").await.unwrap();
    direct.put("out/twice", "3").await.unwrap();
    direct.delete("out/deleted").await.unwrap();
    // What happened cannot be replayed from history any more.
    let now = direct.revision().await.unwrap();
    direct.compact(now).await.unwrap();

    let _gate = Gate::open(server.port(), port).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "resumed") {
        seen.push(word(&mut mirror).await);
    }
    assert_eq!(
        seen,
        [
            "-out/deleted",
            "out/new=1",
            "out/changed=2",
            "out/twice=3",
            "resumed"
        ]
    );
    direct.put("out/same", "2").await.unwrap();
    assert_eq!(word(&mut mirror).await, "out/same=2");
}

pub(crate) async fn the_cost_of_an_outage_follows_what_changed(server: &mut Server) {
    let direct = server.client();
    for hundred in 0..5 {
        let fill = (0..100).fold(direct.transaction(), |transaction, n| {
            transaction.put(&format!("cost/{hundred}{n:02}"), vec![b'x'; 4096])
        });
        fill.commit().await.unwrap();
    }
    let gate = Gate::open(server.port(), 0).await;
    let through = StoreClient::new(&[gate.endpoint()], Duration::from_secs(5)).unwrap();
    let mut mirror = through.watch_prefix("cost/");
    let Some(MirrorEvent::Synced { snapshot, .. }) = mirror.next().await else {
        panic!("no snapshot")
    };
    assert_eq!(snapshot.len(), 500);
    let listed = gate.bytes();
    assert!(listed > 500 * 4096, "the gate counts: {listed}");

    let port = gate.close();
    assert_eq!(word(&mut mirror).await, "disconnected");
    direct.put("cost/000", "2").await.unwrap();
    direct.put("cost/fleeting", "1").await.unwrap();
    direct.delete("cost/fleeting").await.unwrap();
    direct.delete("cost/001").await.unwrap();
    direct.put("elsewhere", "1").await.unwrap();
    let gate = Gate::open(server.port(), port).await;
    for expected in [
        "cost/000=2",
        "cost/fleeting=1",
        "-cost/fleeting",
        "-cost/001",
        "resumed",
    ] {
        assert_eq!(word(&mut mirror).await, expected);
    }
    let replayed = gate.bytes();
    assert!(replayed < 4096, "{replayed} bytes to replay four changes");

    let port = gate.close();
    assert_eq!(word(&mut mirror).await, "disconnected");
    let _gate = Gate::open(server.port(), port).await;
    assert_eq!(word(&mut mirror).await, "resumed", "nothing was missed");
    direct.put("cost/000", "3").await.unwrap();
    assert_eq!(word(&mut mirror).await, "cost/000=3");
}

/// The next event in one line.
pub(crate) async fn word(mirror: &mut Mirror) -> String {
    match mirror.next().await.expect("the mirror ended") {
        MirrorEvent::Synced { snapshot, .. } => {
            let keys = snapshot
                .iter()
                .map(|kv| format!(" {}={}", kv.key, text(&kv.value)));
            format!("synced{}", keys.collect::<String>())
        }
        MirrorEvent::Put(kv) => format!("{}={}", kv.key, text(&kv.value)),
        MirrorEvent::Delete { key, .. } => format!("-{key}"),
        MirrorEvent::Disconnected { .. } => "disconnected".into(),
        MirrorEvent::Resumed { .. } => "resumed".into(),
    }
}

fn text(value: &[u8]) -> String {
    crate::wire::text(value)
}

/// A way to the server that can be cut, and that counts what the server sends.
pub(crate) struct Gate {
    port: u16,
    bytes: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn open(target: u16, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            // Dropped with the task, which cuts the connections.
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                connections.spawn(join(near, target, Arc::clone(&counter)));
            }
        });
        Self { port, bytes, task }
    }

    pub(crate) fn close(self) -> u16 {
        self.task.abort();
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn join(near: TcpStream, target: u16, counter: Arc<AtomicUsize>) {
    let far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
    let (mut near_out, mut near_in) = near.into_split();
    let (mut far_out, mut far_in) = far.into_split();
    let back = async {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = far_out.read(&mut buffer).await {
            counter.fetch_add(length, Ordering::Relaxed);
            near_in.write_all(&buffer[..length]).await?;
        }
        Ok(0)
    };
    // Either side may end the connection.
    let _ = tokio::try_join!(tokio::io::copy(&mut near_out, &mut far_in), back);
}
