//! Access lists on interfaces, and forwarding by them.

use render::{AclTag, Key, Object};
use vpp_api::abf::{AbfItfAttach, AbfItfAttachAddDel, AbfPolicy, AbfPolicyAddDel};
use vpp_api::acl::AclInterfaceAddDel;
use vpp_api_client::Client;

use super::{Done, OpError, index_of, send};
use crate::dataplane::Indices;
use crate::dataplane::convert::path;

pub(super) async fn set(
    client: &Client,
    indices: &Indices,
    key: &Key,
    object: &Object,
    is_add: bool,
) -> Done {
    match (key, object) {
        (Key::AclBinding(tag, acl), _) => {
            let request = AclInterfaceAddDel {
                is_add,
                is_input: true,
                sw_if_index: index_of(indices, tag)?,
                acl_index: acl_of(indices, acl)?,
            };
            send(client, request, is_add).await
        }
        (
            Key::Policy(policy_id),
            Object::Policy {
                acl,
                next_hop,
                interface: tag,
            },
        ) => {
            let policy = AbfPolicy {
                policy_id: *policy_id,
                acl_index: acl_of(indices, acl)?,
                paths: vec![path(*next_hop, index_of(indices, tag)?.0)],
            };
            send(client, AbfPolicyAddDel { is_add, policy }, is_add).await
        }
        (Key::PolicyBinding(policy_id, tag), Object::PolicyBinding { priority, is_ipv6 }) => {
            let attach = AbfItfAttach {
                policy_id: *policy_id,
                sw_if_index: index_of(indices, tag)?,
                priority: *priority,
                is_ipv6: *is_ipv6,
            };
            send(client, AbfItfAttachAddDel { is_add, attach }, is_add).await
        }
        (key, object) => unreachable!("`{key}` is no place for {object}"),
    }
}

fn acl_of(indices: &Indices, acl: &AclTag) -> Result<u32, OpError> {
    let index = indices.acls.get(acl).copied();
    index.ok_or_else(|| OpError::Absent(acl.to_string()))
}
