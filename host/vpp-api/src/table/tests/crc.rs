//! VPP's checksum of a layout, computed from our declaration: a layout that drifts from VPP's is
//! noticed without VPP's files.

use std::fmt::Write;

use crate::describe::{Field, Header, Item, Length, MessageInfo, Shape};
use crate::modules::MODULES;
use crate::table::messages;

/// Members VPP added with a promise that clients need not care; it leaves them out of the sum.
const COMPATIBLE_MEMBERS: &[&str] = &[
    "TAP_API_FLAG_PACKED",
    "TAP_API_FLAG_IN_ORDER",
    "TAP_API_FLAG_CONSISTENT_QP",
    "AF_PACKET_API_FLAG_VERSION_2",
    "CLASSIFY_API_ACTION_MARK_FLOW",
    "AF_XDP_API_FLAGS_MAC_REUSE",
    "AF_XDP_API_FLAGS_MULTI_BUFFER",
    "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_INNER_HASH",
    "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_HOP_LIMIT",
    "TUNNEL_API_ENCAP_DECAP_FLAG_ENCAP_COPY_FLOW_LABEL",
    "SR_BEHAVIOR_API_END_UN_PERF",
    "SR_BEHAVIOR_API_END_UN",
    "SR_BEHAVIOR_API_UA",
];

#[test]
fn every_checksum_follows_from_its_layout() {
    for info in MODULES.iter().flat_map(|module| messages(module)) {
        assert_eq!(
            format!("{:08x}", sum_of(&info)),
            format!("{:08x}", info.crc),
            "{}",
            info.name
        );
    }
}

fn sum_of(info: &MessageInfo) -> u32 {
    let word = |name| Field {
        name,
        shape: Shape::scalar("u32"),
        default: None,
    };
    let mut fields = match info.header {
        Header::ClientContext => vec![word("client_index"), word("context")],
        Header::Context => vec![word("context")],
        Header::Client => vec![word("client_index")],
    };
    fields.extend_from_slice(info.fields);
    with_types(&fields, crc32(&listed(&fields), 0))
}

/// Adds the types of the fields, depth first.
fn with_types(fields: &[Field], sum: u32) -> u32 {
    let types = fields.iter().filter_map(|field| declared(field.shape.ty));
    types.fold(sum, |sum, item| match item {
        Item::Struct(info) | Item::Union(info) => {
            with_types(info.fields, crc32(&listed(info.fields), sum))
        }
        Item::Enum(info) => {
            let members = info
                .members
                .iter()
                .filter(|(name, _)| !COMPATIBLE_MEMBERS.contains(name));
            let members: Vec<_> = members
                .map(|(name, value)| format!("['{name}', {value}]"))
                .collect();
            crc32(&format!("[{}]", members.join(", ")), sum)
        }
        Item::Alias(_) => crc32("[]", sum),
        Item::Message(_) => unreachable!("a message is not a type"),
    })
}

fn declared(ty: &str) -> Option<Item> {
    let name = ty.strip_prefix("vl_api_")?.strip_suffix("_t")?;
    let is_it = |item: &&Item| match item {
        Item::Struct(info) | Item::Union(info) => info.name == name,
        Item::Enum(info) => info.name == name,
        Item::Alias(info) => info.name == name,
        Item::Message(_) => false,
    };
    let found = MODULES.iter().flat_map(|module| module.items).find(is_it);
    Some(*found.unwrap_or_else(|| panic!("`{name}` is not declared")))
}

/// Lists fields the way VPP's generator, a Python program, prints them.
fn listed(fields: &[Field]) -> String {
    let mut text = String::from("[");
    for field in fields {
        let separator = if text.len() > 1 { ", " } else { "" };
        let (ty, name) = (field.shape.ty, field.wire_name());
        let _ = write!(text, "{separator}['{ty}', '{name}'");
        let _ = match field.shape.length {
            Length::One => Ok(()),
            Length::Fixed(count) => write!(text, ", {count}, None"),
            Length::CountedBy(count) => write!(text, ", 0, '{count}'"),
        };
        text.push(']');
    }
    text + "]"
}

/// The CRC-32 of zlib, continued from `sum`.
fn crc32(text: &str, sum: u32) -> u32 {
    !text.bytes().fold(!sum, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    })
}
