//! Where each record lives in the store. One kind of process writes each prefix:
//!
//! | prefix below `/weft/v1/` | value | writer |
//! |---|---|---|
//! | `config` | [`crate::ClusterConfig`] | operator (`weft lab`, installer), else the first agent that has one in its file |
//! | `nodes/<node>` | [`crate::NodeRecord`] | that node's agent |
//! | `node-ids/<id>` | node name | agents, by create-if-absent |
//! | `pods/<ns>/<pod>` | [`crate::PodRecord`] | ksr |
//! | `chains/<ns>/<chain>` | [`crate::ChainSpec`] | ksr |
//! | `attachments/<ns>/<pod>` | [`crate::Attachment`] | agent of the pod's node |
//! | `rendered-chains/<ns>/<chain>` | [`crate::RenderedChain`] | controller |
//! | `chain-status/<ns>/<chain>` | [`crate::ChainStatus`] | controller |
//! | `hop-states/<node>/<ns>/<chain>/<hop>` | [`crate::HopState`] | agent of that node |
//!
//! Beside it, below `/weft/applied/v1/`, which nobody watches:
//!
//! | prefix | value | writer |
//! |---|---|---|
//! | `<node>/<ns>/<chain>` | [`crate::AppliedChain`] | agent of that node |

use std::fmt;

use crate::name::{NodeId, NodeName, ObjectName};

/// Everything that Weft keeps is below this prefix.
pub const ROOT: &str = "/weft/v1/";

/// The place of one record, or (the `*_PREFIX` constants) of a kind of records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Config,
    Node(NodeName),
    NodeId(NodeId),
    Pod(ObjectName),
    Chain(ObjectName),
    Attachment(ObjectName),
    RenderedChain(ObjectName),
    ChainStatus(ObjectName),
    HopState {
        node: NodeName,
        chain: ObjectName,
        hop: String,
    },
    AppliedChain {
        node: NodeName,
        chain: ObjectName,
    },
}

pub const CONFIG: &str = "/weft/v1/config";
pub const NODES: &str = "/weft/v1/nodes/";
pub const NODE_IDS: &str = "/weft/v1/node-ids/";
pub const PODS: &str = "/weft/v1/pods/";
pub const CHAINS: &str = "/weft/v1/chains/";
pub const ATTACHMENTS: &str = "/weft/v1/attachments/";
pub const RENDERED_CHAINS: &str = "/weft/v1/rendered-chains/";
pub const CHAIN_STATUS: &str = "/weft/v1/chain-status/";
pub const HOP_STATES: &str = "/weft/v1/hop-states/";
/// Apart from the rest, so that its many small changes wake nobody who follows [`ROOT`].
pub const APPLIED_CHAINS: &str = "/weft/applied/v1/";

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => write!(f, "{ROOT}config"),
            Self::Node(name) => write!(f, "{NODES}{name}"),
            Self::NodeId(id) => write!(f, "{NODE_IDS}{id}"),
            Self::Pod(pod) => write!(f, "{PODS}{pod}"),
            Self::Chain(chain) => write!(f, "{CHAINS}{chain}"),
            Self::Attachment(pod) => write!(f, "{ATTACHMENTS}{pod}"),
            Self::RenderedChain(chain) => write!(f, "{RENDERED_CHAINS}{chain}"),
            Self::ChainStatus(chain) => write!(f, "{CHAIN_STATUS}{chain}"),
            Self::HopState { node, chain, hop } => write!(f, "{HOP_STATES}{node}/{chain}/{hop}"),
            Self::AppliedChain { node, chain } => write!(f, "{APPLIED_CHAINS}{node}/{chain}"),
        }
    }
}

impl Key {
    /// Reads a key back; `None` when it is not one of ours (a newer writer's, say).
    pub fn parse(text: &str) -> Option<Self> {
        let object = |parts: &mut std::str::Split<'_, char>| {
            ObjectName::parse(parts.next()?, parts.next()?).ok()
        };
        if let Some(rest) = text.strip_prefix(APPLIED_CHAINS) {
            let mut parts = rest.split('/');
            let node = NodeName::parse(parts.next()?).ok()?;
            let chain = object(&mut parts)?;
            let key = Self::AppliedChain { node, chain };
            return parts.next().is_none().then_some(key);
        }
        let rest = text.strip_prefix(ROOT)?;
        let mut parts = rest.split('/');
        let kind = parts.next()?;
        let key = match kind {
            "config" => Self::Config,
            "nodes" => Self::Node(NodeName::parse(parts.next()?).ok()?),
            "node-ids" => Self::NodeId(NodeId(parts.next()?.parse().ok()?)),
            "pods" => Self::Pod(object(&mut parts)?),
            "chains" => Self::Chain(object(&mut parts)?),
            "attachments" => Self::Attachment(object(&mut parts)?),
            "rendered-chains" => Self::RenderedChain(object(&mut parts)?),
            "chain-status" => Self::ChainStatus(object(&mut parts)?),
            "hop-states" => Self::HopState {
                node: NodeName::parse(parts.next()?).ok()?,
                chain: object(&mut parts)?,
                hop: parts.next()?.to_owned(),
            },
            _ => return None,
        };
        parts.next().is_none().then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_as_itself() {
        let object = ObjectName::parse("default", "web").unwrap();
        let node = NodeName::parse("node-1").unwrap();
        for key in [
            Key::Config,
            Key::Node(node.clone()),
            Key::NodeId(NodeId(7)),
            Key::Pod(object.clone()),
            Key::Chain(object.clone()),
            Key::Attachment(object.clone()),
            Key::RenderedChain(object.clone()),
            Key::ChainStatus(object.clone()),
            Key::AppliedChain {
                node: node.clone(),
                chain: object.clone(),
            },
            Key::HopState {
                node,
                chain: object,
                hop: "fw".to_owned(),
            },
        ] {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
    }

    #[test]
    fn a_foreign_or_longer_key_is_not_ours() {
        for text in [
            "/registry/pods/a/b",
            "/weft/v1/pods/a",
            "/weft/v1/pods/a/b/c",
            "/weft/v1/x/y",
        ] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}
