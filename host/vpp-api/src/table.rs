//! Message ids: the table a client receives at the handshake, and the one a server hands out.

use std::collections::BTreeMap;

use crate::describe::{Header, Item, MessageInfo, Module, Role, Service};
use crate::memclnt::MessageTableEntry;
use crate::message::{ACK_CRC, ACK_FIELDS, Message, recode_ack};
use crate::wire::FixedString;

/// Ids of `memclnt` that clients have compiled in.
const FIXED_IDS: &[(&str, u16)] = &[
    ("get_first_msg_id", 10),
    ("get_first_msg_id_reply", 11),
    ("api_versions", 12),
    ("api_versions_reply", 13),
    ("sockclnt_create", SOCKCLNT_CREATE_ID),
    ("sockclnt_create_reply", SOCKCLNT_CREATE_REPLY_ID),
    ("sockclnt_delete", 17),
    ("sockclnt_delete_reply", 18),
    ("memclnt_keepalive", 21),
    ("memclnt_keepalive_reply", 22),
    ("control_ping", 23),
    ("control_ping_reply", 24),
    ("get_api_json", 27),
    ("get_api_json_reply", 28),
];

/// Id of the first message on a connection; the one thing a client must know beforehand.
pub const SOCKCLNT_CREATE_ID: u16 = 15;
/// Id of its answer.
pub const SOCKCLNT_CREATE_REPLY_ID: u16 = 16;
/// First id of the modules behind `memclnt`.
const FIRST_DYNAMIC_ID: u16 = 29;

/// Returns the `<name>_<crc>` that names a message in the table.
#[must_use]
pub fn name_crc(name: &str, crc: u32) -> String {
    format!("{name}_{crc:08x}")
}

/// Lists the messages of a module in order, the implied replies behind their requests.
pub fn messages(module: &Module) -> impl Iterator<Item = MessageInfo> {
    module
        .items
        .iter()
        .flat_map(|item| match item {
            Item::Message(info) => [Some(*info), ack_of(info)],
            Item::Struct(_) | Item::Union(_) | Item::Enum(_) | Item::Alias(_) => [None, None],
        })
        .flatten()
}

fn ack_of(request: &MessageInfo) -> Option<MessageInfo> {
    let Some(Service::Ack { reply, .. }) = request.service else {
        return None;
    };
    Some(MessageInfo {
        name: reply,
        crc: ACK_CRC,
        role: Role::Reply,
        header: Header::Context,
        fields: ACK_FIELDS,
        service: None,
        recode: recode_ack,
    })
}

/// Names and ids of the messages that both sides may use on a connection.
#[derive(Clone, Debug, Default)]
pub struct MessageTable {
    ids: BTreeMap<String, u16>,
    names: BTreeMap<u16, String>,
}

/// A message the other side does not have in the form we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Missing {
    /// Name.
    pub name: &'static str,
    /// Checksum we know.
    pub crc: u32,
    /// Checksum the other side has under that name.
    pub found: Option<u32>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ", name_crc(self.name, self.crc))?;
        match self.found {
            Some(found) => write!(f, "exists as {found:08x}"),
            None => f.write_str("is absent"),
        }
    }
}

impl MessageTable {
    /// Reads the table of the handshake's reply; of a name given twice the last id counts.
    #[must_use]
    pub fn from_entries(entries: &[MessageTableEntry]) -> Self {
        let mut table = Self::default();
        for entry in entries {
            table.insert(entry.name.to_string(), entry.index);
        }
        table
    }

    /// Hands out ids: VPP's own to `memclnt`, the following ones in order to the others.
    #[must_use]
    pub fn assign(messages: impl IntoIterator<Item = MessageInfo>) -> Self {
        let mut table = Self::default();
        let mut next = FIRST_DYNAMIC_ID;
        for message in messages {
            let key = name_crc(message.name, message.crc);
            if table.ids.contains_key(&key) {
                continue;
            }
            let fixed = FIXED_IDS.iter().find(|(name, _)| *name == message.name);
            let id = fixed.map_or(next, |(_, id)| *id);
            if id == next {
                next = next.saturating_add(1);
            }
            table.insert(key, id);
        }
        table
    }

    /// Returns the id of `M`.
    ///
    /// # Errors
    /// When the other side has it not, or with another checksum.
    pub fn id<M: Message>(&self) -> Result<u16, Missing> {
        self.resolve(M::NAME, M::CRC)
    }

    /// Returns the id of a message by name and checksum.
    ///
    /// # Errors
    /// When the other side has it not, or with another checksum.
    pub fn resolve(&self, name: &'static str, crc: u32) -> Result<u16, Missing> {
        let found = || {
            let prefix = format!("{name}_");
            self.ids
                .range(prefix.clone()..)
                .map_while(|(key, _)| key.strip_prefix(&prefix))
                .find(|rest| rest.len() == 8)
                .and_then(|rest| u32::from_str_radix(rest, 16).ok())
        };
        self.ids
            .get(&name_crc(name, crc))
            .copied()
            .ok_or_else(|| Missing {
                name,
                crc,
                found: found(),
            })
    }

    /// Returns the `<name>_<crc>` of an id.
    #[must_use]
    pub fn name(&self, id: u16) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Lists the table in the form of the handshake's reply.
    pub fn entries(&self) -> impl Iterator<Item = MessageTableEntry> {
        self.names.iter().map(|(id, name)| MessageTableEntry {
            index: *id,
            name: FixedString::truncated(name),
        })
    }

    /// Returns the number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn insert(&mut self, name: String, id: u16) {
        self.names.insert(id, name.clone());
        self.ids.insert(name, id);
    }
}

#[cfg(test)]
mod tests;
