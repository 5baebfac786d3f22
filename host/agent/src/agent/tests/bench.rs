//! A node whose dataplane records what it is told, and whose store is what the test says.

use std::collections::{BTreeMap, BTreeSet};

use model::rendered::EndPod;
use model::{
    ChainEnd, ClusterConfig, FlowAction, FlowMatch, FlowProtocol, FlowRule, Key as StoreKey,
    MacAddr, NodeId, NodeName, NodeRecord, ObjectName, OnFailure, PodRecord, PortRange,
    RenderedChain, RenderedHop, ReturnPath, Segment, Selector, record,
};
use render::{LocalPod, Objects, Op, Uplink};
use store::client::{Kv, MirrorEvent};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use crate::agent::{Agent, Start};
use crate::cluster::Outbox;
use crate::dataplane::{Command, Dataplane, Dump};
use crate::event::{AddCall, Attached, Elsewhere, Event, Mirrored, Removed};
use crate::journal::Journal;

pub(super) type Reply<T> = oneshot::Receiver<Result<T, Status>>;

pub(super) struct Bench {
    pub(super) agent: Agent,
    commands: mpsc::Receiver<Command>,
    /// What the dataplane has.
    pub(super) objects: Objects,
    /// It refuses operations whose object's name contains this.
    pub(super) refuses: Option<&'static str>,
    /// It does not answer batches.
    pub(super) is_slow: bool,
    late: Vec<(u64, Vec<Op>)>,
    /// Batches since the last [`Self::take`], their operations as text.
    batches: Vec<Vec<String>>,
    pub(super) read_backs: u32,
    outbox: Outbox,
    directory: tempfile::TempDir,
}

pub(super) fn cluster() -> ClusterConfig {
    ClusterConfig {
        pod_cidr: "10.1.0.0/16".parse().unwrap(),
        node_prefix_len: 24,
        vxlan_cidr: "192.168.30.0/24".parse().unwrap(),
        chain_cidr: "192.168.64.0/18".parse().unwrap(),
        vxlan_vni: 10,
        chain_vni_base: 4096,
        mtu: 1450,
    }
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

fn start(directory: &std::path::Path) -> (Agent, mpsc::Receiver<Command>, Outbox) {
    let (dataplane, commands) = Dataplane::new();
    let outbox = Outbox::default();
    let facts = render::Facts {
        node: node("n1"),
        id: NodeId(0),
        cluster: cluster(),
        uplink: Some(Uplink {
            interface: "eth1".to_owned(),
            address: "192.168.16.1/24".parse().unwrap(),
        }),
        nodes: BTreeMap::new(),
        pods: BTreeMap::new(),
        links_up: BTreeSet::new(),
    };
    let agent = Agent::new(Start {
        facts,
        journal: Journal::open(directory).unwrap(),
        outbox: outbox.clone(),
        dataplane,
        pod_dir: "/run/weft/pods".into(),
        sweep: Box::new(|| ()),
    });
    (agent.unwrap(), commands, outbox)
}

impl Bench {
    /// A node that knows nothing and is connected to nothing.
    pub(super) fn blank() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (agent, commands, outbox) = start(directory.path());
        Self {
            agent,
            commands,
            objects: Objects::new(),
            refuses: None,
            is_slow: false,
            late: Vec::new(),
            batches: Vec::new(),
            read_backs: 0,
            outbox,
            directory,
        }
    }

    /// Number 1, with store and dataplane, and node `n2` beside it.
    pub(super) async fn ready() -> Self {
        let mut bench = Self::blank();
        for of in [
            Mirrored::Config,
            Mirrored::Nodes,
            Mirrored::Chains,
            Mirrored::Pods,
        ] {
            let snapshot = Vec::new();
            let event = MirrorEvent::Synced {
                revision: 1,
                snapshot,
            };
            bench.event(Event::Mirror { of, event }).await;
        }
        bench.event(Event::Claimed(NodeId(1))).await;
        bench.connect().await;
        bench.put_node("n2", 2).await;
        bench.take();
        bench
    }

    /// Another agent on what this one left.
    pub(super) fn restart(&mut self) {
        (self.agent, self.commands, self.outbox) = start(self.directory.path());
    }

    pub(super) async fn connect(&mut self) {
        let dump = self.dump();
        self.event(Event::Synced(Box::new(dump))).await;
    }

    fn dump(&self) -> Dump {
        Dump {
            objects: self.objects.clone(),
            ..Dump::default()
        }
    }

    /// Lets the agent handle `event`, and the dataplane what follows.
    pub(super) async fn event(&mut self, event: Event) {
        self.agent.handle(event).await;
        self.serve().await;
    }

    pub(super) async fn serve(&mut self) {
        if !self.is_slow {
            for (batch, ops) in std::mem::take(&mut self.late) {
                self.carry_out(batch, &ops).await;
            }
        }
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Apply { batch, ops } => {
                    self.batches
                        .push(ops.iter().map(ToString::to_string).collect());
                    if self.is_slow {
                        self.late.push((batch, ops));
                    } else {
                        self.carry_out(batch, &ops).await;
                    }
                }
                Command::Resync => {
                    self.read_backs += 1;
                    let dump = self.dump();
                    self.agent.handle(Event::Synced(Box::new(dump))).await;
                }
                Command::Look { .. } => unreachable!("only CHECK looks"),
            }
        }
    }

    async fn carry_out(&mut self, batch: u64, ops: &[Op]) {
        let mut failures = Vec::new();
        for op in ops {
            let is_refused = |text: &&str| op.key().to_string().contains(*text);
            if self.refuses.as_ref().is_some_and(is_refused) {
                failures.push((op.key().clone(), "refused".to_owned()));
            } else {
                op.apply(&mut self.objects);
            }
        }
        let applied = Event::Applied {
            batch,
            failures,
            numbers: BTreeMap::new(),
        };
        self.agent.handle(applied).await;
    }

    /// Lets time pass, and the agent do what is due.
    pub(super) async fn wait(&mut self, time: std::time::Duration) {
        tokio::time::advance(time).await;
        self.event(Event::Timeout).await;
    }

    /// The batches since the last call.
    pub(super) fn take(&mut self) -> Vec<Vec<String>> {
        let mut batches = std::mem::take(&mut self.batches);
        batches.retain(|ops| !ops.is_empty());
        batches
    }

    /// All operations since the last call.
    pub(super) fn take_ops(&mut self) -> Vec<String> {
        self.take().into_iter().flatten().collect()
    }

    /// Keys that wait for the store.
    pub(super) fn outgoing(&self) -> BTreeMap<String, bool> {
        self.outbox.waiting()
    }

    pub(super) async fn add(&mut self, id: &str, labels: &[(&str, &str)]) -> Reply<LocalPod> {
        let (answer, reply) = oneshot::channel();
        let labels = labels.iter();
        let labels = labels.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let call = AddCall {
            attachment: attached(id),
            netns: format!("/run/netns/{id}"),
            pod: Some(ObjectName::parse("default", id).unwrap()),
            labels: Some(labels.collect()),
            extra: Vec::new(),
            answer,
        };
        self.event(Event::Add(Box::new(call))).await;
        reply
    }

    /// ADD to its end.
    pub(super) async fn attach(&mut self, id: &str, labels: &[(&str, &str)]) -> LocalPod {
        let added = self.add(id, labels).await;
        now(added).unwrap();
        let (answer, reply) = oneshot::channel();
        let attachment = attached(id);
        self.event(Event::Commit { attachment, answer }).await;
        now(reply).unwrap()
    }

    pub(super) async fn chained(&mut self, id: &str) -> Reply<Vec<Elsewhere>> {
        let (answer, reply) = oneshot::channel();
        let attachment = attached(id);
        self.event(Event::Chained { attachment, answer }).await;
        reply
    }

    pub(super) async fn detach(&mut self, id: &str) -> Reply<Vec<Removed>> {
        let (answer, reply) = oneshot::channel();
        let attachment = attached(id);
        self.event(Event::Del { attachment, answer }).await;
        reply
    }

    pub(super) async fn status(&mut self) -> Result<(), Status> {
        let (answer, reply) = oneshot::channel();
        self.event(Event::Status { answer }).await;
        now(reply)
    }

    pub(super) async fn put<T: serde::Serialize>(
        &mut self,
        of: Mirrored,
        key: StoreKey,
        value: &T,
    ) {
        let key = key.to_string();
        let kv = Kv {
            value: record::encode(&key, value).unwrap(),
            key,
            version: 1,
            create_revision: 1,
            mod_revision: 1,
            lease: 0,
        };
        let event = MirrorEvent::Put(kv);
        self.event(Event::Mirror { of, event }).await;
    }

    pub(super) async fn put_node(&mut self, name: &str, id: u16) {
        let id = NodeId(id);
        let value = NodeRecord {
            name: node(name),
            id,
            underlay: format!("192.168.16.{id}").parse().unwrap(),
            pod_cidr: cluster().node_pod_cidr(id).unwrap(),
            vxlan_address: cluster().vxlan_address(id).unwrap().addr(),
            vxlan_mac: render::node::mesh_mac(id),
            uplink_mac: None,
        };
        self.put(Mirrored::Nodes, StoreKey::Node(node(name)), &value)
            .await;
    }

    pub(super) async fn put_chain(&mut self, chain: &RenderedChain) {
        let key = StoreKey::RenderedChain(chain.chain.clone());
        self.put(Mirrored::Chains, key, chain).await;
    }

    pub(super) async fn drop_chain(&mut self, chain: &RenderedChain) {
        let event = MirrorEvent::Delete {
            key: StoreKey::RenderedChain(chain.chain.clone()).to_string(),
            revision: 2,
        };
        let of = Mirrored::Chains;
        self.event(Event::Mirror { of, event }).await;
    }

    pub(super) async fn put_pod(&mut self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter();
        let labels = labels.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let value = PodRecord {
            uid: String::new(),
            node: Some(node("n1")),
            labels: labels.collect(),
            interfaces: Vec::new(),
        };
        let key = StoreKey::Pod(ObjectName::parse("default", name).unwrap());
        self.put(Mirrored::Pods, key, &value).await;
    }

    pub(super) async fn lose_store(&mut self) {
        let event = MirrorEvent::Disconnected {
            reason: "test".to_owned(),
        };
        let of = Mirrored::Nodes;
        self.event(Event::Mirror { of, event }).await;
    }

    pub(super) async fn lose_dataplane(&mut self) {
        self.objects.clear();
        self.late.clear();
        let reason = "test".to_owned();
        self.event(Event::DataplaneLost { reason }).await;
    }
}

pub(super) fn attached(id: &str) -> Attached {
    Attached {
        container_id: id.to_owned(),
        ifname: "eth0".to_owned(),
    }
}

/// An answer that must be there.
#[track_caller]
#[expect(clippy::unwrap_in_result, reason = "a test ends where it is missing")]
pub(super) fn now<T>(mut reply: Reply<T>) -> Result<T, Status> {
    reply.try_recv().expect("no answer yet")
}

pub(super) fn is_open<T>(reply: &mut Reply<T>) -> bool {
    matches!(reply.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

/// `app=client` to `app=server` through a firewall on n2; the server's end is there too.
pub(super) fn chain(on_failure: OnFailure) -> RenderedChain {
    let app = |value: &str| Selector {
        match_labels: BTreeMap::from([("app".to_owned(), value.to_owned())]),
        match_expressions: Vec::new(),
    };
    let server = EndPod {
        pod: ObjectName::parse("default", "server").unwrap(),
        addresses: vec!["10.1.2.2".parse().unwrap()],
    };
    RenderedChain {
        chain: ObjectName::parse("default", "web").unwrap(),
        generation: 1,
        rules: vec![FlowRule {
            id: "web".to_owned(),
            priority: 10,
            matches: FlowMatch {
                src: None,
                dst: None,
                protocol: FlowProtocol::Tcp,
                src_ports: PortRange::ANY,
                dst_ports: PortRange::one(80),
            },
            action: FlowAction::EnterChain,
        }],
        return_path: ReturnPath::Symmetric,
        entries: Vec::new(),
        exits: vec![end("n2", 2, vec![server])],
        hops: vec![RenderedHop {
            name: "firewall".to_owned(),
            pod: ObjectName::parse("default", "firewall").unwrap(),
            node: node("n2"),
            input: "left".to_owned(),
            output: "right".to_owned(),
            on_failure,
        }],
        segments: vec![Segment { vni: 4096 }, Segment { vni: 4097 }],
        open_destination: false,
        bypassed: false,
        source: Some(app("client")),
        destination: Some(app("server")),
    }
}

pub(super) fn end(name: &str, number: u8, pods: Vec<EndPod>) -> ChainEnd {
    ChainEnd {
        node: node(name),
        mac: MacAddr([2, 0xfe, 0, 0, 0, number]),
        address: format!("192.168.64.{number}").parse().unwrap(),
        pods,
    }
}
