//! Static descriptions of modules, types and messages, made by the same declaration as the codec.

use crate::wire::CodecError;

/// One `.api` file: its declarations in file order.
#[derive(Debug)]
pub struct Module {
    /// Stem of the file name, such as `memif`.
    pub name: &'static str,
    /// The file's `option version`.
    pub version: &'static str,
    /// CRC of VPP's whole file.
    pub crc: u32,
    /// Imported files as spelled by VPP.
    pub imports: &'static [&'static str],
    /// What we declare of it; a subset of VPP's file.
    pub items: &'static [Item],
}

/// One declaration.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// `typedef foo { fields }`.
    Struct(TypeInfo),
    /// `union foo { members }`.
    Union(TypeInfo),
    /// `enum` or `enumflag`.
    Enum(EnumInfo),
    /// `typedef base name`.
    Alias(AliasInfo),
    /// `define foo { fields }`.
    Message(MessageInfo),
}

/// A structure or union.
#[derive(Clone, Copy, Debug)]
pub struct TypeInfo {
    /// VPP's name.
    pub name: &'static str,
    /// Fields in wire order.
    pub fields: &'static [Field],
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct EnumInfo {
    /// VPP's name.
    pub name: &'static str,
    /// Storage type.
    pub storage: &'static str,
    /// Declared as `enumflag`.
    pub is_enumflag: bool,
    /// Members in order.
    pub members: &'static [(&'static str, u64)],
}

/// A renamed type.
#[derive(Clone, Copy, Debug)]
pub struct AliasInfo {
    /// VPP's name.
    pub name: &'static str,
    /// What it stands for.
    pub base: Shape,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct MessageInfo {
    /// VPP's name.
    pub name: &'static str,
    /// VPP's checksum of the layout.
    pub crc: u32,
    /// Which side sends it, and what for.
    pub role: Role,
    /// The words between the message id and the fields.
    pub header: Header,
    /// Fields in wire order, without id and header.
    pub fields: &'static [Field],
    /// What answers it; `None` unless it is a request.
    pub service: Option<Service>,
    /// Decodes such a message and encodes it again.
    pub recode: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
}

/// The purpose of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Client to VPP.
    Request,
    /// Answer to one request.
    Reply,
    /// One of many answers.
    Details,
    /// Unasked, to subscribers.
    Event,
}

/// The words between the message id and the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `client_index`, `context`.
    ClientContext,
    /// `context`.
    Context,
    /// `client_index`.
    Client,
}

/// What a request leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `<request>_reply` with nothing but a return value.
    Ack {
        /// Name of the implied reply.
        reply: &'static str,
        /// Events it subscribes to.
        events: &'static [&'static str],
    },
    /// A reply with fields.
    Reply {
        /// Its name.
        reply: &'static str,
        /// Events it subscribes to.
        events: &'static [&'static str],
    },
    /// Any number of details and no end mark.
    Dump {
        /// Name of the details.
        details: &'static str,
    },
    /// Details closed by a reply.
    Stream {
        /// Name of the details.
        details: &'static str,
        /// Name of the reply.
        reply: &'static str,
    },
}

/// A field on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// VPP's name; Rust keywords carry a `r#` here, see [`Field::wire_name`].
    pub name: &'static str,
    /// Type and array length.
    pub shape: Shape,
    /// Spells the default that API tools fill in.
    pub default: Option<fn() -> String>,
}

impl Field {
    /// Returns VPP's name.
    #[must_use]
    pub fn wire_name(&self) -> &'static str {
        self.name.strip_prefix("r#").unwrap_or(self.name)
    }
}

/// A field's type and array length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Type name in VPP's JSON, such as `u32` or `vl_api_prefix_t`.
    pub ty: &'static str,
    /// Scalar or array.
    pub length: Length,
}

/// The array length of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Not an array.
    One,
    /// So many elements; zero is a text with its own length in front.
    Fixed(usize),
    /// As many as an earlier field says.
    CountedBy(&'static str),
}

impl Shape {
    /// Describes a value that is not an array.
    #[must_use]
    pub const fn scalar(ty: &'static str) -> Self {
        Self {
            ty,
            length: Length::One,
        }
    }

    /// Describes a list of such values, counted by the field `count`.
    #[must_use]
    pub const fn counted_by(self, count: &'static str) -> Self {
        Self {
            ty: self.ty,
            length: Length::CountedBy(count),
        }
    }
}

/// A Rust type that stands for a declaration.
pub trait Describe {
    /// The declaration.
    const ITEM: Item;
}
