//! Messages as traits, and their form behind the frame header.

use std::marker::PhantomData;

use crate::describe::{Field, Header, Role, Shape};
use crate::retval::{ApiError, Retval};
use crate::wire::{CodecError, Reader, Wire, Writer};

/// CRC of every reply that carries nothing but a return value.
pub const ACK_CRC: u32 = 0xe8d4_e804;

/// The packed fields of a message or structure.
pub trait Record: Sized {
    /// Fields in wire order.
    const FIELDS: &'static [Field];
    /// The fewest bytes the fields can take.
    const FIELDS_MIN_SIZE: usize;

    /// Appends the fields.
    ///
    /// # Errors
    /// When a list is too long for its length field.
    fn put_fields(&self, out: &mut Writer) -> Result<(), CodecError>;

    /// Takes the fields off the input.
    ///
    /// # Errors
    /// When the input is too short or holds an impossible value.
    fn take_fields(input: &mut Reader<'_>) -> Result<Self, CodecError>;
}

/// A message of the binary API.
pub trait Message: Record + Default + Send + 'static {
    /// VPP's name.
    const NAME: &'static str;
    /// VPP's checksum of the layout; together with the name it identifies the message.
    const CRC: u32;
    /// Which side sends it, and what for.
    const ROLE: Role;
    /// The words between the message id and the fields.
    const HEADER: Header;
}

/// A message that closes a request.
pub trait Reply: Message {
    /// Returns how the request went; [`Retval::OK`] for replies without such a field.
    fn retval(&self) -> Retval;

    /// Builds the reply of a failed request: the code, all else zero.
    fn failed(error: ApiError) -> Self;
}

/// A request with one reply.
pub trait Request: Message {
    /// What closes it.
    type Reply: Reply;
}

/// A request with any number of details and no end mark.
pub trait Dump: Message {
    /// What it yields.
    type Details: Message;
}

/// A request with any number of details, closed by a reply.
pub trait Stream: Message {
    /// What it yields.
    type Details: Message;
    /// What closes it.
    type Reply: Reply;
}

/// A [`Stream`] to be asked again with the cursor of the reply while that says "again".
pub trait CursorDump: Stream + Clone {
    /// Sets where to go on.
    fn set_cursor(&mut self, cursor: u32);

    /// Returns where to go on.
    fn cursor_of(reply: &Self::Reply) -> u32;
}

/// A message that arrives unasked.
pub trait Event: Message {}

/// A request that is answered by [`Ack`].
pub trait Acked: Message {
    /// Name of the reply, `<request>_reply`.
    const ACK_NAME: &'static str;
}

/// The reply `{context, retval}` of request `M`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack<M> {
    /// How the request went.
    pub retval: Retval,
    request: PhantomData<fn() -> M>,
}

impl<M> Ack<M> {
    /// Reports `retval`.
    #[must_use]
    pub fn new(retval: Retval) -> Self {
        Self {
            retval,
            request: PhantomData,
        }
    }
}

impl<M> From<()> for Ack<M> {
    fn from((): ()) -> Self {
        Self::new(Retval::OK)
    }
}

impl<M> Default for Ack<M> {
    fn default() -> Self {
        Self::new(Retval::OK)
    }
}

impl<M> Record for Ack<M> {
    const FIELDS: &'static [Field] = ACK_FIELDS;
    const FIELDS_MIN_SIZE: usize = 4;

    fn put_fields(&self, out: &mut Writer) -> Result<(), CodecError> {
        self.retval.put(out)
    }

    fn take_fields(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Retval::take(input)
            .map(Self::new)
            .map_err(|error| error.within("retval"))
    }
}

/// The fields of every [`Ack`].
pub const ACK_FIELDS: &[Field] = &[Field {
    name: "retval",
    shape: Shape::scalar("i32"),
    default: None,
}];

impl<M: Acked> Message for Ack<M> {
    const NAME: &'static str = M::ACK_NAME;
    const CRC: u32 = ACK_CRC;
    const ROLE: Role = Role::Reply;
    const HEADER: Header = Header::Context;
}

impl<M: Acked> Reply for Ack<M> {
    fn retval(&self) -> Retval {
        self.retval
    }

    fn failed(error: ApiError) -> Self {
        Self::new(error.into())
    }
}

/// The words in front of the fields; those a message does not have read as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Id from the message table.
    pub id: u16,
    /// Registration, from the handshake's reply.
    pub client_index: u32,
    /// Opaque to VPP, echoed.
    pub context: u32,
}

/// Encodes a message as it follows the frame header.
///
/// # Errors
/// When a list is too long for its length field.
pub fn encode<M: Message>(envelope: Envelope, message: &M) -> Result<Vec<u8>, CodecError> {
    let mut out = Writer::new();
    envelope.put(M::HEADER, &mut out)?;
    message
        .put_fields(&mut out)
        .map_err(|error| error.of(M::NAME))?;
    Ok(out.finish())
}

/// Decodes a message known to be an `M`; trailing bytes are ignored, as VPP does.
///
/// # Errors
/// When the input is too short or holds an impossible value.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<(Envelope, M), CodecError> {
    let mut input = Reader::new(bytes);
    let envelope = Envelope::take(M::HEADER, &mut input).map_err(|error| error.of(M::NAME))?;
    let message = M::take_fields(&mut input).map_err(|error| error.of(M::NAME))?;
    Ok((envelope, message))
}

/// Decodes an `M` and encodes it again: for those who know a message by its description only.
///
/// # Errors
/// As [`decode`] and [`encode`].
pub fn recode<M: Message>(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let (envelope, message) = decode::<M>(bytes)?;
    encode(envelope, &message)
}

/// The same for an [`Ack`], of whatever request.
pub(crate) fn recode_ack(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut input = Reader::new(bytes);
    let envelope = Envelope::take(Header::Context, &mut input)?;
    let retval = Retval::take(&mut input)?;
    let mut out = Writer::new();
    envelope.put(Header::Context, &mut out)?;
    retval.put(&mut out)?;
    Ok(out.finish())
}

impl Envelope {
    /// Reads the words in front of a message whose header is known.
    ///
    /// # Errors
    /// When the input is too short.
    pub fn peek(header: Header, bytes: &[u8]) -> Result<Self, CodecError> {
        Self::take(header, &mut Reader::new(bytes))
    }

    /// Reads the message id alone.
    ///
    /// # Errors
    /// When the input is too short.
    pub fn peek_id(bytes: &[u8]) -> Result<u16, CodecError> {
        u16::take(&mut Reader::new(bytes)).map_err(|error| error.within("_vl_msg_id"))
    }

    fn put(self, header: Header, out: &mut Writer) -> Result<(), CodecError> {
        self.id.put(out)?;
        if header != Header::Context {
            self.client_index.put(out)?;
        }
        if header != Header::Client {
            self.context.put(out)?;
        }
        Ok(())
    }

    fn take(header: Header, input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let id = u16::take(input).map_err(|error| error.within("_vl_msg_id"))?;
        let mut word = |name, is_present| match is_present {
            true => u32::take(input).map_err(|error| error.within(name)),
            false => Ok(0),
        };
        let client_index = word("client_index", header != Header::Context)?;
        let context = word("context", header != Header::Client)?;
        Ok(Self {
            id,
            client_index,
            context,
        })
    }
}

/// Returns the value that zeroed memory decodes to: defaults are for requests, not for failures.
pub(crate) fn zero_record<M: Record>() -> M {
    let zeroes = vec![0; M::FIELDS_MIN_SIZE];
    M::take_fields(&mut Reader::new(&zeroes)).unwrap_or_else(|_| unreachable!("zero is a value"))
}

#[cfg(test)]
mod tests;
