//! The mirror, seen by its consumer.

use std::time::Duration;

use store::client::{Mirror, MirrorEvent, StoreClient};
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

/// A way to the server that can be cut.
struct Gate {
    port: u16,
    task: JoinHandle<()>,
}

impl Gate {
    async fn open(target: u16, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            // Dropped with the task, which cuts the connections.
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { port, task }
    }

    fn close(self) -> u16 {
        self.task.abort();
        self.port
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
