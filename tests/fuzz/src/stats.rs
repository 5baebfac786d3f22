//! The statistics segment of a stranger.

use std::io::Write;

use vpp_api_client::stats::StatsSegment;

/// A bigger segment finds nothing more, only slower.
const BYTES_MAX: usize = 4096;

pub(crate) fn run(bytes: &[u8]) {
    // A writer that is always "in progress" is waited for; that is not what is tested here.
    let mut bytes = bytes
        .get(..bytes.len().min(BYTES_MAX))
        .unwrap_or(&[])
        .to_vec();
    if let Some(progress) = bytes.get_mut(24..32) {
        progress.fill(0);
    }
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("room");
    let segment = StatsSegment::from_descriptor(file.into());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _ = runtime.block_on(segment.read(|_| true));
}
