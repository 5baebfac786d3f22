//! The payload of a probe: mark, run, sequence number, then filling.

/// Bytes of a payload that carry meaning; shorter ones are refused.
pub(super) const HEADER_LEN: usize = 24;

const MARK: [u8; 8] = *b"weftprob";

/// Writes the payload of request `sequence` of run `run`, `size` bytes long.
pub(super) fn emit(run: u64, sequence: u64, size: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(size.max(HEADER_LEN));
    payload.extend_from_slice(&MARK);
    payload.extend_from_slice(&run.to_be_bytes());
    payload.extend_from_slice(&sequence.to_be_bytes());
    payload.resize(size.max(HEADER_LEN), b'.');
    payload
}

/// The sequence number, when `payload` is of run `run` and whole.
pub(super) fn parse(run: u64, payload: &[u8], size: usize) -> Option<u64> {
    let (mark, rest) = payload.split_first_chunk::<8>()?;
    let (sent_run, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, _) = rest.split_first_chunk::<8>()?;
    let ours = *mark == MARK && u64::from_be_bytes(*sent_run) == run;
    (ours && payload.len() == size.max(HEADER_LEN)).then(|| u64::from_be_bytes(*sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_only_whole_and_in_its_own_run() {
        let payload = emit(7, 41, 100);
        assert_eq!(payload.len(), 100);
        assert_eq!(parse(7, &payload, 100), Some(41));
        assert_eq!(parse(8, &payload, 100), None);
        assert_eq!(parse(7, &payload[..99], 100), None);
        assert_eq!(parse(7, b"", 100), None);
        assert_eq!(emit(1, 1, 0).len(), HEADER_LEN);
    }
}
