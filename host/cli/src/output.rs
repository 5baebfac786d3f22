//! Standard output, in one place: a closed pipe (`weft … | head`) is an error and not a panic.

use std::fmt;
use std::io::Write;

/// Writes one line to standard output.
pub(crate) fn line(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_fmt(text)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// `println!` that reports a closed pipe.
#[macro_export]
#[doc(hidden)]
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
