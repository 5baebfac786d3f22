//! Capabilities in a plain `#[test]`.

use crate::double::{Double, install};
use crate::key_value::{Quota, Scope};
use crate::log::Level;
use crate::metrics::Registry;

/// A host that grants what the test says. By the same rules as the real one: quotas, bounded names, paths that cannot
/// leave the directory. What was not granted answers as empty or with an error.
///
/// ```
/// use weft_sdk::key_value::{self, Quota};
/// use weft_sdk::{clock, metrics, test::Host};
///
/// let mut host = Host::new()
///     .at_unix_ms(1_700_000_000_000)
///     .grant_metrics()
///     .grant_key_value(Quota { keys: 10, bytes: 100 });
/// host.run(|| {
///     key_value::put("seen", &clock::now_unix_ms().to_be_bytes()).expect("there is room");
///     metrics::counter_add("calls_total", &[], 1).expect("a good name");
/// });
/// assert_eq!(host.counter("calls_total", &[]), Some(1));
/// assert_eq!(host.value("seen"), Some(1_700_000_000_000_u64.to_be_bytes().to_vec()));
/// ```
#[derive(Debug, Default)]
pub struct Host(Double);

impl Host {
    /// A host that grants log, clock (at zero) and random numbers (from a fixed seed).
    #[must_use]
    pub fn new() -> Self {
        Self(Double {
            file_bytes_max: usize::MAX,
            lines: Some(Vec::new()),
            ..Double::default()
        })
    }

    /// Sets the date.
    #[must_use]
    pub const fn at_unix_ms(mut self, unix_ms: u64) -> Self {
        self.0.unix_ms = unix_ms;
        self
    }

    /// Sets the seed of the random numbers.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Grants figures.
    #[must_use]
    pub fn grant_metrics(mut self) -> Self {
        self.0.metrics = Some(Registry::default());
        self
    }

    /// Grants a scope of values.
    #[must_use]
    pub fn grant_key_value(mut self, quota: Quota) -> Self {
        self.0.scope = Some(Scope::new(quota));
        self
    }

    /// Grants a directory, and puts a file into it. The path is relative, without `.` or `..`.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let files = self.0.files.get_or_insert_default();
        files.insert(path.to_owned(), content.into());
        self
    }

    /// Sets the largest file that may be read.
    #[must_use]
    pub const fn with_file_bytes_max(mut self, bytes: usize) -> Self {
        self.0.file_bytes_max = bytes;
        self
    }

    /// Calls `work` with these capabilities, on this thread. May be called again: values and figures stay.
    pub fn run<R>(&mut self, work: impl FnOnce() -> R) -> R {
        install(&mut self.0, work)
    }

    /// A counter's value.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        self.0.metrics.as_ref()?.counter(name, labels)
    }

    /// Every figure as a line.
    #[must_use]
    pub fn figures(&self) -> Vec<String> {
        let registry = self.0.metrics.as_ref();
        registry.map(Registry::lines).unwrap_or_default()
    }

    /// A value of the scope.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.0.scope.as_ref()?.get(key).map(<[u8]>::to_vec)
    }

    /// The lines that were logged, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[(Level, String)] {
        self.0.lines.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{self, FileError};
    use crate::key_value::{self, KeyValueError};
    use crate::metrics::{self, MetricError};
    use crate::{clock, log, random};

    #[test]
    fn what_was_not_granted_is_not_there() {
        assert_eq!(clock::now_unix_ms(), 0);
        assert!(matches!(files::read("a"), Err(FileError::Other(_))));
        assert!(matches!(
            key_value::put("a", b""),
            Err(KeyValueError::Other(_))
        ));
        assert_eq!((key_value::get("a"), key_value::delete("a")), (None, false));
        let refused = metrics::counter_add("a", &[], 1);
        assert!(matches!(refused, Err(MetricError::Other(_))));
    }

    #[test]
    fn a_host_lasts_for_its_run_and_keeps_what_happened() {
        let quota = Quota { keys: 1, bytes: 9 };
        let mut host = Host::new().at_unix_ms(7).grant_key_value(quota);
        let refused = host.run(|| {
            log::warn("careful");
            key_value::put("a", &[1]).expect("fits");
            (clock::now_unix_ms(), key_value::put("b", &[2]))
        });
        assert_eq!(refused, (7, Err(KeyValueError::Quota)));
        assert_eq!(clock::now_unix_ms(), 0, "the thread is as it was");
        assert_eq!(host.run(|| key_value::get("a")), Some(vec![1]));
        assert_eq!(host.lines(), [(Level::Warn, "careful".to_owned())]);
    }

    #[test]
    fn a_host_is_put_away_also_when_the_test_panics() {
        let mut host = Host::new().at_unix_ms(7);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            host.run(|| panic!("a bug"));
        }));
        assert!(panicked.is_err());
        assert_eq!(clock::now_unix_ms(), 0);
    }

    #[test]
    fn files_are_found_below_their_directory_only() {
        let mut host = Host::new()
            .with_file("policy/a.json", "{}")
            .with_file("top", "text")
            .with_file_bytes_max(3);
        host.run(|| {
            assert_eq!(files::read("policy/../policy/./a.json"), Ok(b"{}".to_vec()));
            for (path, error) in [
                ("../secret", FileError::Denied),
                ("policy/../../secret", FileError::Denied),
                ("/etc/passwd", FileError::Denied),
                ("policy", FileError::Denied),
                ("none", FileError::NotFound),
                ("", FileError::NotFound),
                ("top", FileError::TooLarge),
            ] {
                assert_eq!(files::read(path), Err(error), "{path}");
            }
            let names = |list: &[&str]| Ok(list.iter().map(|n| (*n).to_owned()).collect());
            assert_eq!(files::entries("."), names(&["policy", "top"]));
            assert_eq!(files::entries("policy"), names(&["a.json"]));
            assert_eq!(files::entries("none"), Err(FileError::NotFound));
        });
    }

    #[test]
    fn random_numbers_repeat_from_their_seed() {
        let draw = |seed| {
            let mut bytes = [0; 1500];
            Host::new().with_seed(seed).run(|| random::fill(&mut bytes));
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(
            draw(1)[1490..].iter().any(|byte| *byte != 0),
            "filled to the end"
        );
    }
}
