//! Operations as VPP requests. Three volleys, each pipelined: deletions, what gets a number from the
//! dataplane, and the rest.

mod interface;
mod l2;
mod l3;
mod steering;

use futures::future::join_all;
use render::{IfTag, Key, Object, Op};
use vpp_api::acl::{AclAddReplace, AclDel};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::memif::MemifSocketFilenameAddDelV2;
use vpp_api::{ApiError, FixedString, Request};
use vpp_api_client::{Client, RequestError};

use super::Indices;
use super::convert::rule;

/// Why one operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpError {
    #[error("`{0}` is not there")]
    Absent(String),
    #[error("`{0}` is longer than the dataplane takes")]
    TooLong(String),
    #[error("{error} ({request})")]
    Refused {
        request: &'static str,
        error: ApiError,
    },
    #[error(transparent)]
    Request(RequestError),
}

impl From<RequestError> for OpError {
    fn from(error: RequestError) -> Self {
        if let RequestError::Refused { request, error } = error {
            Self::Refused { request, error }
        } else {
            Self::Request(error)
        }
    }
}

type Done = Result<(), OpError>;

/// Carries out `ops` and answers what failed.
pub(super) async fn apply(
    client: &Client,
    indices: &mut Indices,
    ops: &[Op],
) -> Vec<(Key, String)> {
    let mut failures = Vec::new();
    let mut note = |op: &Op, done: Done| {
        if let Err(error) = done {
            tracing::debug!(%op, %error, "operation failed");
            failures.push((op.key().clone(), error.to_string()));
        }
    };
    let (deletions, others): (Vec<_>, Vec<_>) =
        ops.iter().partition(|op| matches!(op, Op::Delete { .. }));
    let (numbered, rest): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|op| is_numbered(op.key()));

    let sent = deletions.iter().map(|op| delete(client, indices, op));
    let done = join_all(sent).await;
    for (op, done) in deletions.into_iter().zip(done) {
        if done.is_ok() {
            forget(indices, op.key());
        }
        note(op, done);
    }
    let sent = numbered.iter().map(|op| make_numbered(client, indices, op));
    let done = join_all(sent).await;
    let mut ready = Vec::new();
    for (op, done) in numbered.into_iter().zip(done) {
        match done {
            Ok(Some(number)) => {
                remember(indices, op.key(), number);
                ready.push(op);
            }
            Ok(None) => {}
            Err(error) => note(op, Err(error)),
        }
    }
    let setups = ready
        .iter()
        .map(|op| interface::set_up(client, indices, op));
    let changes = rest.iter().map(|op| put(client, indices, op));
    let (set_up, changed) = futures::join!(join_all(setups), join_all(changes));
    for (op, done) in ready
        .into_iter()
        .zip(set_up)
        .chain(rest.into_iter().zip(changed))
    {
        note(op, done);
    }
    failures
}

/// Sockets are here because interfaces need them.
const fn is_numbered(key: &Key) -> bool {
    matches!(key, Key::MemifSocket(_) | Key::Acl(_) | Key::Interface(_))
}

fn forget(indices: &mut Indices, key: &Key) {
    if let Key::Interface(tag) = key {
        indices.interfaces.remove(tag);
    } else if let Key::Acl(tag) = key {
        indices.acls.remove(tag);
    }
}

fn remember(indices: &mut Indices, key: &Key, number: u32) {
    if let Key::Interface(tag) = key {
        indices.interfaces.insert(tag.clone(), number);
    } else if let Key::Acl(tag) = key {
        indices.acls.insert(tag.clone(), number);
    }
}

fn index_of(indices: &Indices, tag: &IfTag) -> Result<InterfaceIndex, OpError> {
    let index = indices.interfaces.get(tag);
    index
        .copied()
        .map(InterfaceIndex)
        .ok_or_else(|| OpError::Absent(tag.to_string()))
}

fn fixed<const N: usize>(text: &str) -> Result<FixedString<N>, OpError> {
    FixedString::new(text).map_err(|_| OpError::TooLong(text.to_owned()))
}

async fn ask<M: Request>(client: &Client, request: M) -> Done {
    client.request(&request).await?;
    Ok(())
}

/// A deletion: what is already gone is fine.
async fn drop_it<M: Request>(client: &Client, request: M) -> Done {
    let gone = [ApiError::NoSuchEntry, ApiError::InvalidSwIfIndex];
    match client.request(&request).await {
        Err(error) if error.api_error().is_some_and(|e| gone.contains(&e)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Makes or changes what the dataplane numbers; `None` where there is nothing more to set up.
async fn make_numbered(
    client: &Client,
    indices: &Indices,
    op: &Op,
) -> Result<Option<u32>, OpError> {
    let (from, to) = match op {
        Op::Create { object, .. } => (None, object),
        Op::Update { from, to, .. } => (Some(from), to),
        Op::Delete { .. } => return Ok(None),
    };
    match (op.key(), to) {
        (Key::MemifSocket(id), Object::MemifSocket { path }) => {
            ask(client, socket(*id, path, true)).await.map(|()| None)
        }
        (Key::Acl(tag), Object::Acl { rules }) => {
            let request = AclAddReplace {
                acl_index: indices.acls.get(tag).copied().unwrap_or(u32::MAX),
                tag: fixed(tag.as_str())?,
                r: rules.iter().map(rule).collect(),
            };
            Ok(Some(client.request(&request).await?.acl_index))
        }
        (Key::Interface(tag), Object::Interface { device, .. }) => {
            if from.is_none() {
                return interface::create(client, tag, device)
                    .await
                    .map(|index| Some(index.0));
            }
            let tagged = indices.interfaces.get(tag).copied();
            let bare = || {
                let found = indices.untagged.iter().find(|(d, _)| d == device);
                found.map(|(_, index)| *index)
            };
            let index = tagged.or_else(bare);
            index
                .map(Some)
                .ok_or_else(|| OpError::Absent(tag.to_string()))
        }
        _ => Ok(None),
    }
}

/// Makes or changes anything else.
async fn put(client: &Client, indices: &Indices, op: &Op) -> Done {
    match op {
        Op::Create { key, object }
        | Op::Update {
            key, to: object, ..
        } => set(client, indices, key, object, true).await,
        Op::Delete { .. } => Ok(()),
    }
}

async fn delete(client: &Client, indices: &Indices, op: &Op) -> Done {
    let Op::Delete { key, object } = op else {
        return Ok(());
    };
    match (key, object) {
        (Key::MemifSocket(id), Object::MemifSocket { path }) => {
            drop_it(client, socket(*id, path, false)).await
        }
        (Key::Acl(tag), _) => {
            let index = indices.acls.get(tag).copied();
            let acl_index = index.ok_or_else(|| OpError::Absent(tag.to_string()))?;
            drop_it(client, AclDel { acl_index }).await
        }
        (Key::Interface(tag), Object::Interface { device, .. }) => {
            interface::delete(client, index_of(indices, tag)?, device).await
        }
        (key, object) => set(client, indices, key, object, false).await,
    }
}

fn socket(socket_id: u32, path: &str, is_add: bool) -> MemifSocketFilenameAddDelV2 {
    MemifSocketFilenameAddDelV2 {
        is_add,
        socket_id,
        socket_filename: path.to_owned(),
    }
}

/// Everything that is made and deleted by the same request with a flag.
async fn set(client: &Client, indices: &Indices, key: &Key, object: &Object, is_add: bool) -> Done {
    match key {
        Key::Bridge(_) | Key::L2(_) | Key::MacEntry(..) => {
            l2::set(client, indices, key, object, is_add).await
        }
        Key::Unnumbered(_) | Key::Address(..) | Key::Neighbour(..) | Key::Route(_) => {
            l3::set(client, indices, key, object, is_add).await
        }
        Key::AclBinding(..) | Key::Policy(_) | Key::PolicyBinding(..) => {
            steering::set(client, indices, key, object, is_add).await
        }
        Key::MemifSocket(_) | Key::Acl(_) | Key::Interface(_) => {
            unreachable!("`{key}` is numbered by the dataplane")
        }
    }
}

async fn send<M: Request>(client: &Client, request: M, is_add: bool) -> Done {
    if is_add {
        ask(client, request).await
    } else {
        drop_it(client, request).await
    }
}
