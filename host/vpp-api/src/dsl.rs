//! The declaration language: each type and message is written once, close to VPP's `.api` syntax.
//!
//! ```text
//! api! {
//!     module memif("3.1.0" 0xd48ac702) imports ["vnet/interface_types.api"];
//!
//!     /// Which side listens.
//!     enum MemifRole("memif_role" u32) { Master = 0 "MEMIF_ROLE_API_MASTER", }
//!     flags Foos("foos" u8) { BAR = 1 "FOO_BAR", }      // what VPP calls `enumflag`
//!     bits TapFlags("tap_flags" u32) { GSO = 1 "TAP_API_FLAG_GSO", }    // flags it calls `enum`
//!     alias InterfaceIndex("interface_index" u32) {}
//!     union AddressUnion("address_union" 16) { ip4: Ipv4Addr, ip6: Ipv6Addr }
//!     struct Rule("acl_rule") { is_permit: u8 }
//!     native IpAddr() {}                                // described by hand elsewhere
//!
//!     request Foo("foo" 0x12345678 => FooReply) { bar: u32 }
//!     request Want("want_foos" 0x12345678 => ack, events FooEvent) { pid: u32 }
//!     dump FooDump("foo_dump" 0x12345678 => FooDetails) {}
//!     stream FooGet("foo_get" 0x12345678 => FooDetails, FooGetReply) { cursor: u32 }
//!     cursor FooGet("foo_get" 0x12345678 => FooDetails, FooGetReply) { cursor: u32 }
//!     reply FooReply("foo_reply" 0x12345678) { retval: Retval }
//!     answer BareReply("bare_reply" 0x12345678) { major: u32 }    // a reply without retval
//!     details FooDetails("foo_details" 0x12345678 [client_index context]) {
//!         limit: u32 = 10,            // a default, as API tools fill it in
//!         count: u8 = len(items),     // on the wire only
//!         items: [u32; count],        // a Vec<u32>; the last field, as in VPP
//!     }
//!     event FooEvent("foo_event" 0x12345678) { pid: u32 }
//! }
//! ```
//! The words in brackets replace the header a message of its kind usually has.

mod record;
mod value;

/// Declares the types and messages of one module and its description `MODULE`.
macro_rules! api {
    (
        module $module:ident($version:literal $crc:literal) imports [$($import:literal),* $(,)?];
        $( $(#[$meta:meta])* $kind:ident $Name:ident($($spec:tt)*) { $($body:tt)* } )*
    ) => {
        /// The module's description.
        pub static MODULE: $crate::describe::Module = $crate::describe::Module {
            name: stringify!($module),
            version: $version,
            crc: $crc,
            imports: &[$($import),*],
            items: &[$( <$Name as $crate::describe::Describe>::ITEM ),*],
        };
        $( $crate::dsl::item! { $kind { $(#[$meta])* } $Name ($($spec)*) { $($body)* } } )*
    };
}

/// Declares one item.
macro_rules! item {
    (native $meta:tt $Name:ident () {}) => {};
    (struct $meta:tt $Name:ident ($name:literal) { $($body:tt)* }) => {
        $crate::dsl::record! { $meta $Name { $($body)* } }
        impl $crate::wire::Wire for $Name {
            const SHAPE: $crate::describe::Shape =
                $crate::describe::Shape::scalar(concat!("vl_api_", $name, "_t"));
            const MIN_SIZE: usize = <Self as $crate::message::Record>::FIELDS_MIN_SIZE;

            fn zero() -> Self {
                Self::default()
            }

            fn put(&self, out: &mut $crate::wire::Writer) -> Result<(), $crate::wire::CodecError> {
                $crate::message::Record::put_fields(self, out)
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                $crate::message::Record::take_fields(input)
            }
        }
        const _: () = assert!(<$Name as $crate::wire::Wire>::MIN_SIZE > 0);
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Struct($crate::describe::TypeInfo {
                    name: $name,
                    fields: <Self as $crate::message::Record>::FIELDS,
                });
        }
    };
    (enum { $($meta:tt)* } $Name:ident ($name:literal $raw:ident) {
        $( $Member:ident = $value:literal $member:literal ),* $(,)?
    }) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $Name {
            $( #[doc = concat!("`", $member, "`")] $Member, )*
            /// A value this version does not know.
            Other($raw),
        }
        impl From<$raw> for $Name {
            fn from(raw: $raw) -> Self {
                match raw {
                    $( $value => Self::$Member, )*
                    other => Self::Other(other),
                }
            }
        }
        impl From<$Name> for $raw {
            fn from(value: $Name) -> Self {
                match value {
                    $( $Name::$Member => $value, )*
                    $Name::Other(raw) => raw,
                }
            }
        }
        $crate::dsl::number! { $Name ($name $raw) }
        $crate::dsl::enumeration! { $Name ($name $raw false) { $( $member $value ),* } }
    };
    (flags $meta:tt $Name:ident ($name:literal $raw:ident) {
        $( $MEMBER:ident = $value:literal $member:literal ),* $(,)?
    }) => {
        $crate::dsl::bitset! { $meta $Name ($raw) { $( $MEMBER = $value $member ),* } }
        $crate::dsl::number! { $Name ($name $raw) }
        $crate::dsl::enumeration! { $Name ($name $raw true) { $( $member $value ),* } }
    };
    (bits $meta:tt $Name:ident ($name:literal $raw:ident) {
        $( $MEMBER:ident = $value:literal $member:literal ),* $(,)?
    }) => {
        $crate::dsl::bitset! { $meta $Name ($raw) { $( $MEMBER = $value $member ),* } }
        $crate::dsl::number! { $Name ($name $raw) }
        $crate::dsl::enumeration! { $Name ($name $raw false) { $( $member $value ),* } }
    };
    (alias { $($meta:tt)* } $Name:ident ($name:literal $base:ty) {}) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $Name(pub $base);
        impl From<$base> for $Name {
            fn from(base: $base) -> Self {
                Self(base)
            }
        }
        impl From<$Name> for $base {
            fn from(alias: $Name) -> Self {
                alias.0
            }
        }
        $crate::dsl::wrapper! { $Name ($name $base) }
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Alias($crate::describe::AliasInfo {
                    name: $name,
                    base: <$base as $crate::wire::Wire>::SHAPE,
                });
        }
    };
    (union { $($meta:tt)* } $Name:ident ($name:literal $size:literal) {
        $( $member:ident: $Type:ty ),* $(,)?
    }) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name(pub [u8; $size]);
        impl $Name {
            $(
                #[doc = concat!("Reads the bytes as the member `", stringify!($member), "`.")]
                ///
                /// # Errors
                /// When they hold no such value.
                pub fn $member(&self) -> Result<$Type, $crate::wire::CodecError> {
                    <$Type as $crate::wire::Wire>::take(&mut $crate::wire::Reader::new(&self.0))
                }
            )*
        }
        $crate::dsl::union_members! { $Name ($size) $( $Type ),* }
        $crate::dsl::wrapper! { $Name ($name [u8; $size]) }
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Union($crate::describe::TypeInfo {
                    name: $name,
                    fields: &[$( $crate::describe::Field {
                        name: stringify!($member),
                        shape: <$Type as $crate::wire::Wire>::SHAPE,
                        default: None,
                    } ),*],
                });
        }
    };
    ($role:ident $meta:tt $Name:ident ($name:literal $crc:literal $($spec:tt)*) { $($body:tt)* }) => {
        $crate::dsl::record! { $meta $Name { $($body)* } }
        $crate::dsl::message! { $role $Name ($name $crc) $($spec)* }
    };
}

/// Gives a message its role, its header and what answers it.
macro_rules! message {
    (request $Name:ident ($name:literal $crc:literal) $([$($head:ident)*])? => ack $(, events $($Event:ident)*)?) => {
        impl $crate::message::Acked for $Name {
            const ACK_NAME: &'static str = concat!($name, "_reply");
        }
        impl $crate::message::Request for $Name {
            type Reply = $crate::message::Ack<Self>;
        }
        $crate::dsl::describe! { $Name ($name $crc) Request [$($($head)*)?] client_context
            Some($crate::describe::Service::Ack {
                reply: concat!($name, "_reply"),
                events: &[$($( <$Event as $crate::message::Message>::NAME ),*)?],
            })
        }
    };
    (request $Name:ident ($name:literal $crc:literal) $([$($head:ident)*])? => $Reply:ident $(, events $($Event:ident)*)?) => {
        impl $crate::message::Request for $Name {
            type Reply = $Reply;
        }
        $crate::dsl::describe! { $Name ($name $crc) Request [$($($head)*)?] client_context
            Some($crate::describe::Service::Reply {
                reply: <$Reply as $crate::message::Message>::NAME,
                events: &[$($( <$Event as $crate::message::Message>::NAME ),*)?],
            })
        }
    };
    (dump $Name:ident ($name:literal $crc:literal) => $Details:ident) => {
        impl $crate::message::Dump for $Name {
            type Details = $Details;
        }
        $crate::dsl::describe! { $Name ($name $crc) Request [] client_context
            Some($crate::describe::Service::Dump {
                details: <$Details as $crate::message::Message>::NAME,
            })
        }
    };
    (stream $Name:ident ($name:literal $crc:literal) => $Details:ident, $Reply:ident) => {
        impl $crate::message::Stream for $Name {
            type Details = $Details;
            type Reply = $Reply;
        }
        $crate::dsl::describe! { $Name ($name $crc) Request [] client_context
            Some($crate::describe::Service::Stream {
                details: <$Details as $crate::message::Message>::NAME,
                reply: <$Reply as $crate::message::Message>::NAME,
            })
        }
    };
    (cursor $Name:ident ($name:literal $crc:literal) => $Details:ident, $Reply:ident) => {
        impl $crate::message::CursorDump for $Name {
            fn set_cursor(&mut self, cursor: u32) {
                self.cursor = cursor;
            }

            fn cursor_of(reply: &$Reply) -> u32 {
                reply.cursor
            }
        }
        $crate::dsl::message! { stream $Name ($name $crc) => $Details, $Reply }
    };
    (reply $Name:ident ($name:literal $crc:literal) $([$($head:ident)*])?) => {
        impl $crate::message::Reply for $Name {
            fn retval(&self) -> $crate::retval::Retval {
                self.retval
            }

            fn failed(error: $crate::retval::ApiError) -> Self {
                Self { retval: error.into(), ..$crate::message::zero_record() }
            }
        }
        $crate::dsl::describe! { $Name ($name $crc) Reply [$($($head)*)?] context None }
    };
    (answer $Name:ident ($name:literal $crc:literal) $([$($head:ident)*])?) => {
        impl $crate::message::Reply for $Name {
            fn retval(&self) -> $crate::retval::Retval {
                $crate::retval::Retval::OK
            }

            fn failed(_: $crate::retval::ApiError) -> Self {
                $crate::message::zero_record()
            }
        }
        $crate::dsl::describe! { $Name ($name $crc) Reply [$($($head)*)?] context None }
    };
    (details $Name:ident ($name:literal $crc:literal) $([$($head:ident)*])?) => {
        $crate::dsl::describe! { $Name ($name $crc) Details [$($($head)*)?] context None }
    };
    (event $Name:ident ($name:literal $crc:literal)) => {
        impl $crate::message::Event for $Name {}
        $crate::dsl::describe! { $Name ($name $crc) Event [] client None }
    };
}

/// Implements `Message` and `Describe`.
macro_rules! describe {
    ($Name:ident ($name:literal $crc:literal) $Role:ident [$($head:ident)*] $usual:ident $service:expr) => {
        impl $crate::message::Message for $Name {
            const NAME: &'static str = $name;
            const CRC: u32 = $crc;
            const ROLE: $crate::describe::Role = $crate::describe::Role::$Role;
            const HEADER: $crate::describe::Header =
                $crate::dsl::header!([$($head)*] $usual);
        }
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Message($crate::describe::MessageInfo {
                    name: $name,
                    crc: $crc,
                    role: $crate::describe::Role::$Role,
                    header: <Self as $crate::message::Message>::HEADER,
                    fields: <Self as $crate::message::Record>::FIELDS,
                    service: $service,
                    recode: $crate::message::recode::<$Name>,
                });
        }
    };
}

/// Picks the header: the declared one, else the usual one.
macro_rules! header {
    ([] client_context) => {
        $crate::describe::Header::ClientContext
    };
    ([] context) => {
        $crate::describe::Header::Context
    };
    ([] client) => {
        $crate::describe::Header::Client
    };
    ([client_index context] $usual:ident) => {
        $crate::describe::Header::ClientContext
    };
    ([context] $usual:ident) => {
        $crate::describe::Header::Context
    };
}

pub(crate) use record::{field, min_size, put, record, take};
pub(crate) use value::{bitset, enumeration, number, union_members, wrapper};
pub(crate) use {api, describe, header, item, message};
