//! Cuts a finished frame into IP fragments, for packets whose checksums only the device could complete.

use super::OffloadError;
use crate::fragment::Fragmenter;

/// Room that a fragment header needs in front of the frame.
pub(super) const FRONT: usize = 8;
/// Longest link header: two tags.
const LINK_MAX: usize = 22;

/// Emits the pieces of the frame that starts at [`FRONT`] and whose packet starts at `l3`, built in place: a piece's
/// headers overwrite the end of the one before it.
pub(super) fn emit_pieces(
    bytes: &mut [u8],
    l3: usize,
    limit: u16,
    ident: u32,
    mut emit: impl FnMut(&[u8]),
) -> Result<usize, OffloadError> {
    let packet = bytes.get(FRONT + l3..).ok_or(OffloadError::OutOfFrame)?;
    let mut cutter = Fragmenter::new(packet, packet.len(), usize::from(limit), ident)
        .ok_or(OffloadError::WrongProtocol)?;
    let mut link = [0; LINK_MAX];
    let link = link.get_mut(..l3).ok_or(OffloadError::OutOfFrame)?;
    link.copy_from_slice(
        bytes
            .get(FRONT..FRONT + l3)
            .ok_or(OffloadError::OutOfFrame)?,
    );
    let payload = FRONT + l3 + cutter.skip();
    let mut count = 0;
    while let Some(piece) = cutter.next_piece() {
        let start = payload + piece.from - piece.header.len() - l3;
        let frame = bytes
            .get_mut(start..payload + piece.to)
            .ok_or(OffloadError::OutOfFrame)?;
        let (front, rest) = frame
            .split_at_mut_checked(l3)
            .ok_or(OffloadError::OutOfFrame)?;
        front.copy_from_slice(link);
        rest.get_mut(..piece.header.len())
            .ok_or(OffloadError::OutOfFrame)?
            .copy_from_slice(piece.header);
        emit(frame);
        count += 1;
    }
    Ok(count)
}
