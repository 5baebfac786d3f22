//! Message tables of both sides, and the checksums in them.

mod crc;

use super::{MessageTable, Missing, messages};
use crate::frame::{self, FrameError};
use crate::memclnt::{self, ControlPing, MessageTableEntry, SockclntCreate};
use crate::memif::MemifDump;
use crate::modules::MODULES;
use crate::wire::FixedString;

fn entry(name: &str, index: u16) -> MessageTableEntry {
    MessageTableEntry {
        index,
        name: FixedString::new(name).expect("fits"),
    }
}

#[test]
fn a_server_gives_memclnt_the_ids_clients_have_compiled_in() {
    let table = MessageTable::assign(messages(&memclnt::MODULE));
    assert_eq!(table.id::<SockclntCreate>(), Ok(15));
    assert_eq!(table.id::<ControlPing>(), Ok(23));
}

#[test]
fn ids_are_unique_and_survive_the_handshake() {
    let table = MessageTable::assign(MODULES.iter().flat_map(|module| messages(module)));
    let entries: Vec<_> = table.entries().collect();
    assert_eq!(entries.len(), table.len());
    let received = MessageTable::from_entries(&entries);
    for info in MODULES.iter().flat_map(|module| messages(module)) {
        let id = table.resolve(info.name, info.crc);
        assert!(id.is_ok());
        assert_eq!(received.resolve(info.name, info.crc), id);
    }
}

#[test]
fn a_message_of_another_layout_is_told_from_an_absent_one() {
    let table = MessageTable::from_entries(&[
        entry("memif_dump_00000001", 30),
        entry("memif_dump_later_51077d14", 31),
    ]);
    let Missing { name, found, .. } = table.id::<MemifDump>().expect_err("another checksum");
    assert_eq!((name, found), ("memif_dump", Some(1)));
    let absent = table.id::<ControlPing>().expect_err("absent");
    assert_eq!(absent.to_string(), "`control_ping_51077d14` is absent");
}

#[test]
fn frames_are_cut_by_their_length_alone() {
    let mut bytes = frame::wrap(&[1, 2, 3]).expect("short");
    bytes[..8].fill(0xee);
    bytes[12..16].fill(0xee);
    bytes.extend([9; 5]);
    assert_eq!(frame::split(&bytes, 3), Ok(Some((&[1, 2, 3][..], 19))));
    assert_eq!(frame::split(&bytes[..18], 3), Ok(None));
    assert_eq!(frame::split(&bytes[..15], 3), Ok(None));
    assert_eq!(
        frame::split(&bytes, 2),
        Err(FrameError::Oversized { len: 3, max: 2 })
    );
    assert_eq!(frame::split(&[0; 16], 2), Err(FrameError::Undersized(0)));
}
