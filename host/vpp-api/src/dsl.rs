//! The declaration language: each type and message is written once, close to VPP's `.api` syntax.
//!
//! ```text
//! api! {
//!     module memif("3.1.0" 0xd48ac702) imports ["vnet/interface_types.api"];
//!
//!     /// Which side listens.
//!     enum MemifRole("memif_role" u32) { Master = 0 "MEMIF_ROLE_API_MASTER", }
//!     flags TapFlags("tap_flags" u32) { GSO = 1 "TAP_API_FLAG_GSO", }      // VPP `enumflag`
//!     bits SubIfFlags("sub_if_flags" u32) { NO_TAGS = 1 "SUB_IF_..", }     // flags VPP calls `enum`
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
//!     answer BareReply("bare_reply" 0x12345678) { major: u32 }             // reply without retval
//!     details FooDetails("foo_details" 0x12345678 [client_index context]) {
//!         count: u8 = len(items),     // on the wire only
//!         items: [u32; count],        // a Vec<u32>
//!         limit: u32 = 10,            // a default, as API tools fill it in
//!     }
//!     event FooEvent("foo_event" 0x12345678) { pid: u32 }
//! }
//! ```
//! The words in brackets replace the header a message of its kind usually has.

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

/// Declares the struct of a message or type with its `Record`.
///
/// Walks the body field by field, collecting what is in the struct and what is on the wire: they
/// differ in the length fields.
macro_rules! record {
    ($meta:tt $Name:ident { $($body:tt)* }) => {
        $crate::dsl::record! { @ $meta $Name [] [] $($body)* }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Count:ty = len($list:ident) $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)*] [$($wire)* (length $field $Count, $list)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: [$Type:ty; $count:ident] $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field Vec<$Type>, Vec::new())]
            [$($wire)* (list $field $Type, $count)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Type:ty = $default:expr $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field $Type, $default)]
            [$($wire)* (value $field $Type, $default)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Type:ty $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field $Type, <$Type as $crate::wire::Wire>::zero())]
            [$($wire)* (value $field $Type)] $($($rest)*)?
        }
    };
    (@ { $($meta:tt)* } $Name:ident
        [$( ($(#[$doc:meta])* $field:ident $Type:ty, $default:expr) )*] [$( $wire:tt )*]
    ) => {
        $($meta)*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Name {
            $( $(#[$doc])* #[doc = concat!("`", stringify!($Type), "`")] pub $field: $Type, )*
        }
        impl Default for $Name {
            fn default() -> Self {
                Self { $( $field: $default ),* }
            }
        }
        impl $crate::message::Record for $Name {
            const FIELDS: &'static [$crate::describe::Field] =
                &[$( $crate::dsl::field!($wire) ),*];
            const FIELDS_MIN_SIZE: usize = 0 $( + $crate::dsl::min_size!($wire) )*;

            fn put_fields(
                &self,
                out: &mut $crate::wire::Writer,
            ) -> Result<(), $crate::wire::CodecError> {
                let _ = &out;
                $( $crate::dsl::put!(self out $wire); )*
                Ok(())
            }

            fn take_fields(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                let _ = &input;
                $( $crate::dsl::take!(input $wire); )*
                Ok(Self { $( $field ),* })
            }
        }
    };
}

/// Describes a wire field.
macro_rules! field {
    ((length $field:ident $Count:ty, $list:ident)) => {
        $crate::dsl::field!(@ $field <$Count as $crate::wire::Wire>::SHAPE, None)
    };
    ((list $field:ident $Type:ty, $count:ident)) => {
        $crate::dsl::field!(
            @ $field <$Type as $crate::wire::Wire>::SHAPE.counted_by(stringify!($count)), None
        )
    };
    ((value $field:ident $Type:ty)) => {
        $crate::dsl::field!(@ $field <$Type as $crate::wire::Wire>::SHAPE, None)
    };
    ((value $field:ident $Type:ty, $default:expr)) => {
        $crate::dsl::field!(@ $field <$Type as $crate::wire::Wire>::SHAPE,
            Some(|| <$Type as $crate::wire::Wire>::literal(&$default)))
    };
    (@ $field:ident $shape:expr, $default:expr) => {
        $crate::describe::Field { name: stringify!($field), shape: $shape, default: $default }
    };
}

/// Counts the fewest bytes of a wire field.
macro_rules! min_size {
    ((list $($rest:tt)*)) => {
        0
    };
    ((length $field:ident $Type:ty, $list:ident)) => {
        <$Type as $crate::wire::Wire>::MIN_SIZE
    };
    ((value $field:ident $Type:ty $(, $default:expr)?)) => {
        <$Type as $crate::wire::Wire>::MIN_SIZE
    };
}

/// Encodes a wire field.
macro_rules! put {
    ($self:ident $out:ident (length $field:ident $Count:ty, $list:ident)) => {
        $crate::wire::put_count::<$Count>($self.$list.len(), <$Count>::MAX.into(), $out)
            .map_err(|error| error.within(stringify!($list)))?;
    };
    ($self:ident $out:ident (list $field:ident $Type:ty, $count:ident)) => {
        $crate::wire::put_list(&$self.$field, $out)
            .map_err(|error| error.within(stringify!($field)))?;
    };
    ($self:ident $out:ident (value $field:ident $Type:ty $(, $default:expr)?)) => {
        $crate::wire::Wire::put(&$self.$field, $out)
            .map_err(|error| error.within(stringify!($field)))?;
    };
}

/// Decodes a wire field into a local of its name.
macro_rules! take {
    ($input:ident (length $field:ident $Count:ty, $list:ident)) => {
        let $field: u64 = <$Count as $crate::wire::Wire>::take($input)
            .map_err(|error| error.within(stringify!($field)))?
            .into();
    };
    ($input:ident (list $field:ident $Type:ty, $count:ident)) => {
        let $field = $crate::wire::take_list::<$Type>($count, $input)
            .map_err(|error| error.within(stringify!($field)))?;
    };
    ($input:ident (value $field:ident $Type:ty $(, $default:expr)?)) => {
        let $field = <$Type as $crate::wire::Wire>::take($input)
            .map_err(|error| error.within(stringify!($field)))?;
    };
}

/// Declares a set of flags.
macro_rules! bitset {
    ({ $($meta:tt)* } $Name:ident ($raw:ident) {
        $( $MEMBER:ident = $value:literal $member:literal ),*
    }) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Name(pub $raw);
        impl $Name {
            /// No flag.
            pub const EMPTY: Self = Self(0);
            $( #[doc = concat!("`", $member, "`")] pub const $MEMBER: Self = Self($value); )*

            /// Says whether all flags of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }
        impl std::ops::BitOr for $Name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl From<$raw> for $Name {
            fn from(raw: $raw) -> Self {
                Self(raw)
            }
        }
        impl From<$Name> for $raw {
            fn from(flags: $Name) -> Self {
                flags.0
            }
        }
    };
}

/// Implements `Wire` and `Default` for what converts from and to an integer.
macro_rules! number {
    ($Name:ident ($name:literal $raw:ident)) => {
        impl $crate::wire::Wire for $Name {
            const SHAPE: $crate::describe::Shape =
                $crate::describe::Shape::scalar(concat!("vl_api_", $name, "_t"));
            const MIN_SIZE: usize = size_of::<$raw>();

            fn zero() -> Self {
                Self::from(0)
            }

            fn put(&self, out: &mut $crate::wire::Writer) -> Result<(), $crate::wire::CodecError> {
                $raw::from(*self).put(out)
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                <$raw as $crate::wire::Wire>::take(input).map(Self::from)
            }

            fn literal(&self) -> String {
                $raw::from(*self).literal()
            }
        }
    };
}

/// Implements `Wire` and `Default` for a newtype over a wire type.
macro_rules! wrapper {
    ($Name:ident ($name:literal $base:ty)) => {
        impl $crate::wire::Wire for $Name {
            const SHAPE: $crate::describe::Shape =
                $crate::describe::Shape::scalar(concat!("vl_api_", $name, "_t"));
            const MIN_SIZE: usize = <$base as $crate::wire::Wire>::MIN_SIZE;

            fn zero() -> Self {
                Self(<$base as $crate::wire::Wire>::zero())
            }

            fn put(&self, out: &mut $crate::wire::Writer) -> Result<(), $crate::wire::CodecError> {
                $crate::wire::Wire::put(&self.0, out)
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                <$base as $crate::wire::Wire>::take(input).map(Self)
            }

            fn literal(&self) -> String {
                $crate::wire::Wire::literal(&self.0)
            }
        }
        impl Default for $Name {
            fn default() -> Self {
                <Self as $crate::wire::Wire>::zero()
            }
        }
    };
}

/// Builds a union from any of its members and proves that each fits.
macro_rules! union_members {
    ($Name:ident ($size:literal) $( $Type:ty ),*) => {
        const _: () = {
            $( assert!(<$Type as $crate::wire::Wire>::MIN_SIZE <= $size); )*
        };
        impl $Name {
            /// Stores a member; what it leaves of the union is zero.
            ///
            /// # Errors
            /// When the value is bigger than the union.
            pub fn of(member: &impl $crate::wire::Wire) -> Result<Self, $crate::wire::CodecError> {
                let mut out = $crate::wire::Writer::new();
                member.put(&mut out)?;
                let bytes = out.finish();
                let mut union = [0; $size];
                let (head, _) = union.split_at_mut_checked(bytes.len()).ok_or(
                    $crate::wire::Fault::TooLong { count: bytes.len(), max: $size },
                )?;
                head.copy_from_slice(&bytes);
                Ok(Self(union))
            }
        }
    };
}

/// Describes an enumeration.
macro_rules! enumeration {
    ($Name:ident ($name:literal $raw:ident $is_enumflag:literal) { $( $member:literal $value:literal ),* }) => {
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Enum($crate::describe::EnumInfo {
                    name: $name,
                    storage: stringify!($raw),
                    is_enumflag: $is_enumflag,
                    members: &[$( ($member, $value) ),*],
                });
        }
    };
}

pub(crate) use {
    api, bitset, describe, enumeration, field, header, item, message, min_size, number, put,
    record, take, union_members, wrapper,
};
