//! The control channel of memif, both ends; a byte in front of each message says whether a descriptor comes along.

use memif_rs::handshake::ServerStep;
use memif_rs::handshake::{
    ClientHandshake, ClientStep, Layout, RegionSpec, RingSpec, ServerHandshake,
};
use memif_rs::proto::{MESSAGE_SIZE, Message};
use memif_rs::{ClientConfig, Limits, ProtocolError};

/// Messages of one input at most.
const MESSAGES_MAX: usize = 64;

fn messages(bytes: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let chunks = bytes.chunks(MESSAGE_SIZE + 1).take(MESSAGES_MAX);
    chunks.filter_map(|chunk| {
        chunk
            .split_first()
            .map(|(flag, rest)| (flag & 1 == 1, rest))
    })
}

fn same_again(message: &Message) {
    assert_eq!(Message::decode(&message.encode()), Ok(*message));
}

pub(crate) fn server(bytes: &[u8]) {
    let limits = Limits::default();
    let (mut handshake, hello) = ServerHandshake::<()>::new(limits.clone(), "fuzz");
    same_again(&hello);
    for (with_fd, message) in messages(bytes) {
        if let Ok(decoded) = Message::decode(message) {
            same_again(&decoded);
        }
        let admit = |init: &memif_rs::proto::Init| {
            if init.id < 4 {
                Ok(())
            } else {
                Err(ProtocolError::UnknownInterface(init.id))
            }
        };
        match handshake.receive(message, with_fd.then_some(()), admit) {
            Ok(ServerStep::Connect { layout, .. }) => {
                assert!(handshake.is_connected());
                assert!(layout.regions.len() <= usize::from(limits.regions));
                for rings in [&layout.to_server, &layout.to_client] {
                    assert!(rings.len() <= usize::from(limits.queues));
                    assert!(
                        rings
                            .iter()
                            .all(|r| usize::from(r.region) < layout.regions.len())
                    );
                }
            }
            Ok(ServerStep::Nothing | ServerStep::Admitted { .. } | ServerStep::Reply(_)) => {}
            Err(reason) => {
                if let Some(farewell) = memif_rs::handshake::farewell(&reason) {
                    same_again(&farewell);
                }
                return;
            }
        }
    }
}

pub(crate) fn client(bytes: &[u8]) {
    let config = ClientConfig::default();
    let mut handshake = ClientHandshake::<()>::new(&config);
    for (with_fd, message) in messages(bytes) {
        match handshake.receive(message, with_fd) {
            Ok(ClientStep::Build(negotiated)) => {
                let ring = |_| RingSpec {
                    region: 0,
                    offset: 0,
                    log2_ring_size: negotiated.log2_ring_size,
                    interrupt: (),
                };
                let layout = Layout {
                    regions: vec![RegionSpec { size: 4096, fd: () }],
                    to_server: (0..negotiated.to_server).map(ring).collect(),
                    to_client: (0..negotiated.to_client).map(ring).collect(),
                };
                same_again(&handshake.declare(1, &config, "fuzz", layout));
            }
            Ok(ClientStep::Send(message, _)) => same_again(&message),
            Ok(ClientStep::Nothing | ClientStep::Connected { .. }) => {}
            Err(_) => return,
        }
    }
}
