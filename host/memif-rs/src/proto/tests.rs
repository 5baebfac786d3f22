use proptest::prelude::*;

use super::*;

fn text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    proptest::collection::vec(any::<u8>(), N)
        .prop_map(|bytes| Text::from_bytes(bytes.try_into().unwrap()))
}

fn message() -> impl Strategy<Value = Message> {
    let hello = (text(), any::<(u16, u16, u16, u16, u16, u8)>()).prop_map(
        |(name, (min_version, max_version, max_region, max_m2s_ring, max_s2m_ring, log2))| {
            Message::Hello(Hello {
                name,
                min_version,
                max_version,
                max_region,
                max_m2s_ring,
                max_s2m_ring,
                max_log2_ring_size: log2,
            })
        },
    );
    let init = (any::<(u16, u32, u8)>(), text(), text()).prop_map(
        |((version, id, mode), secret, name)| {
            Message::Init(Init {
                version,
                id,
                mode,
                secret,
                name,
            })
        },
    );
    let region =
        any::<(u16, u64)>().prop_map(|(index, size)| Message::AddRegion(AddRegion { index, size }));
    let ring = any::<(bool, u16, u16, u32, u8, u16)>().prop_map(
        |(to_server, index, region, offset, log2_ring_size, private_header_size)| {
            let direction = if to_server {
                Direction::ToServer
            } else {
                Direction::ToClient
            };
            Message::AddRing(AddRing {
                direction,
                index,
                region,
                offset,
                log2_ring_size,
                private_header_size,
            })
        },
    );
    let disconnect = (any::<u32>(), text())
        .prop_map(|(code, text)| Message::Disconnect(Disconnect { code, text }));
    prop_oneof![
        Just(Message::Ack),
        hello,
        init,
        region,
        ring,
        text().prop_map(|interface| Message::Connect { interface }),
        text().prop_map(|interface| Message::Connected { interface }),
        disconnect,
    ]
}

proptest! {
    #[test]
    fn decoded_message_is_the_encoded_one(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(bytes.len(), MESSAGE_SIZE);
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }
}

#[test]
fn fields_are_where_the_protocol_puts_them() {
    let init = Message::Init(Init {
        version: VERSION,
        id: 0x0102_0304,
        mode: 1,
        secret: Text::truncated("s3cret"),
        name: Text::truncated("app"),
    });
    let bytes = init.encode();
    assert_eq!(bytes[0..2], 3_u16.to_ne_bytes());
    assert_eq!(bytes[2..4], 0x0200_u16.to_ne_bytes());
    assert_eq!(bytes[4..8], 0x0102_0304_u32.to_ne_bytes());
    assert_eq!(bytes[8], 1);
    assert_eq!(&bytes[9..16], b"s3cret\0");
    assert_eq!(&bytes[33..37], b"app\0");

    let ring = Message::AddRing(AddRing {
        direction: Direction::ToServer,
        index: 1,
        region: 2,
        offset: 3,
        log2_ring_size: 4,
        private_header_size: 5,
    });
    let bytes = ring.encode();
    assert_eq!(bytes[0..2], 5_u16.to_ne_bytes());
    assert_eq!(bytes[2..4], 1_u16.to_ne_bytes());
    assert_eq!(bytes[8..12], 3_u32.to_ne_bytes());
    assert_eq!(bytes[12], 4);
    assert_eq!(bytes[13..15], 5_u16.to_ne_bytes());

    let hello = Message::decode(&{
        let mut bytes = [0; MESSAGE_SIZE];
        bytes[0] = 2_u16.to_ne_bytes()[0];
        bytes[1] = 2_u16.to_ne_bytes()[1];
        bytes[2..5].copy_from_slice(b"VPP");
        bytes[34..36].copy_from_slice(&VERSION.to_ne_bytes());
        bytes[36..38].copy_from_slice(&VERSION.to_ne_bytes());
        bytes[38..40].copy_from_slice(&255_u16.to_ne_bytes());
        bytes[44] = 14;
        bytes
    });
    let Ok(Message::Hello(hello)) = hello else {
        panic!("{hello:?}")
    };
    assert_eq!(hello.name.to_printable(), "VPP");
    assert_eq!((hello.max_region, hello.max_log2_ring_size), (255, 14));
}

#[test]
fn long_text_is_cut_at_a_character_and_closed() {
    let text = Text::<8>::truncated("abcdef\u{e9}\u{e9}");
    assert_eq!(text.as_bytes(), b"abcdef");
    assert_eq!(
        Text::<8>::from_bytes(*b"a\nb\0cdef").to_printable(),
        "a\u{fffd}b"
    );
}
