//! A whole segment as bytes, for writers: build one per round, copy it into the shared memory.

use super::{Combined, ENTRY_LEN, HEADER_LEN, Kind, NAME_LEN, VECTOR_HEADER_LEN, VERSION};

/// A segment under construction; its pointers are offsets, for a `base` of zero.
#[derive(Clone, Debug)]
pub struct Image {
    bytes: Vec<u8>,
    entries: Vec<(Kind, u64, String)>,
}

/// Where everything is. While it stays the same only values change, and readers need not notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    len: usize,
    entries: Vec<(Kind, u64, String)>,
}

/// An entry that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Too long a name.
    #[error("name `{0}` takes more than {max} bytes", max = NAME_LEN - 1)]
    NameTooLong(String),
    /// A symlink to nowhere.
    #[error("`{name}` leads to `{target}`, which does not exist")]
    NoTarget {
        /// The symlink.
        name: String,
        /// Where it should lead.
        target: String,
    },
    /// More elements than a length field counts.
    #[error("`{0}` has too many elements")]
    TooMany(String),
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// Creates a segment without entries.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; HEADER_LEN],
            entries: Vec::new(),
        }
    }

    /// Adds a number.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn scalar(&mut self, name: &str, value: u64) -> Result<(), ImageError> {
        self.entry(Kind::Scalar, value, name)
    }

    /// Adds a number that may fall.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn gauge(&mut self, name: &str, value: u64) -> Result<(), ImageError> {
        self.entry(Kind::Gauge, value, name)
    }

    /// Adds counters: a row per thread, a column per object.
    ///
    /// # Errors
    /// When the name is too long, or there are too many counters.
    pub fn simple(&mut self, name: &str, threads: &[Vec<u64>]) -> Result<(), ImageError> {
        self.table(Kind::Simple, name, threads, |counter, out| {
            out.extend_from_slice(&counter.to_ne_bytes());
        })
    }

    /// Adds counters of packets and bytes: a row per thread, a column per object.
    ///
    /// # Errors
    /// When the name is too long, or there are too many counters.
    pub fn combined(&mut self, name: &str, threads: &[Vec<Combined>]) -> Result<(), ImageError> {
        self.table(Kind::Combined, name, threads, |counter, out| {
            out.extend_from_slice(&counter.packets.to_ne_bytes());
            out.extend_from_slice(&counter.bytes.to_ne_bytes());
        })
    }

    /// Adds texts; `None` marks an index that is not in use.
    ///
    /// # Errors
    /// When the name is too long, or there are too many texts.
    pub fn names(&mut self, name: &str, names: &[Option<&str>]) -> Result<(), ImageError> {
        let mut pointers = Vec::with_capacity(names.len());
        for text in names {
            pointers.push(match text {
                Some(text) => self.vector(name, text.len() + 1, |out| {
                    out.extend_from_slice(text.as_bytes());
                    out.push(0);
                })?,
                None => 0,
            });
        }
        let at = self.pointers(name, &pointers)?;
        self.entry(Kind::Names, at, name)
    }

    /// Adds a name for one column of an entry that was added before.
    ///
    /// # Errors
    /// When the name is too long or the target absent.
    pub fn symlink(&mut self, name: &str, target: &str, column: u32) -> Result<(), ImageError> {
        let index = self
            .entries
            .iter()
            .position(|(_, _, entry)| entry == target);
        let index = index.and_then(|index| u32::try_from(index).ok());
        let index = index.ok_or_else(|| ImageError::NoTarget {
            name: name.into(),
            target: target.into(),
        })?;
        let ([a, b, c, d], [e, f, g, h]) = (index.to_ne_bytes(), column.to_ne_bytes());
        self.entry(
            Kind::Symlink,
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            name,
        )
    }

    /// Returns the segment's bytes, in the state "no change under way", and its shape.
    ///
    /// # Errors
    /// When there are too many entries.
    pub fn finish(mut self, epoch: u64) -> Result<(Vec<u8>, Shape), ImageError> {
        let entries = std::mem::take(&mut self.entries);
        let directory = self.vector("directory", entries.len(), |out| {
            for (kind, value, name) in &entries {
                let start = out.len();
                out.extend_from_slice(&u32::from(*kind).to_ne_bytes());
                out.extend([0; 4]);
                out.extend_from_slice(&value.to_ne_bytes());
                out.extend_from_slice(name.as_bytes());
                out.resize(start + ENTRY_LEN, 0);
            }
        })?;
        // Readers refuse a vector that touches the end.
        self.bytes.extend([0; 8]);
        let header = [VERSION, 0, epoch, 0, directory];
        let header = header.iter().flat_map(|word| word.to_ne_bytes());
        self.bytes
            .iter_mut()
            .zip(header)
            .for_each(|(to, from)| *to = from);
        let entries = entries.into_iter().map(|(kind, value, name)| {
            let is_value = matches!(kind, Kind::Scalar | Kind::Gauge);
            (kind, if is_value { 0 } else { value }, name)
        });
        let shape = Shape {
            len: self.bytes.len(),
            entries: entries.collect(),
        };
        Ok((self.bytes, shape))
    }

    fn table<T>(
        &mut self,
        kind: Kind,
        name: &str,
        threads: &[Vec<T>],
        put: impl Fn(&T, &mut Vec<u8>),
    ) -> Result<(), ImageError> {
        let mut rows = Vec::with_capacity(threads.len());
        for row in threads {
            rows.push(self.vector(name, row.len(), |out| {
                row.iter().for_each(|counter| put(counter, out));
            })?);
        }
        let at = self.pointers(name, &rows)?;
        self.entry(kind, at, name)
    }

    fn pointers(&mut self, name: &str, pointers: &[u64]) -> Result<u64, ImageError> {
        self.vector(name, pointers.len(), |out| {
            pointers
                .iter()
                .for_each(|at| out.extend_from_slice(&at.to_ne_bytes()));
        })
    }

    /// Appends a vector and returns where its elements begin.
    fn vector(
        &mut self,
        name: &str,
        len: usize,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, ImageError> {
        let too_many = || ImageError::TooMany(name.into());
        let count = u32::try_from(len).map_err(|_| too_many())?;
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() + VECTOR_HEADER_LEN;
        self.bytes.extend_from_slice(&count.to_ne_bytes());
        self.bytes.extend([0; 4]);
        put(&mut self.bytes);
        u64::try_from(at).map_err(|_| too_many())
    }

    fn entry(&mut self, kind: Kind, value: u64, name: &str) -> Result<(), ImageError> {
        if name.len() >= NAME_LEN {
            return Err(ImageError::NameTooLong(name.into()));
        }
        self.entries.push((kind, value, name.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Entry, Header};

    #[test]
    fn entries_lie_where_the_header_points() {
        let mut image = Image::new();
        image.gauge("/sys/heartbeat", 7).expect("fits");
        image
            .simple("/if/drops", &[vec![1, 2], vec![3, 4]])
            .expect("fits");
        image
            .symlink("/interfaces/loop0/drops", "/if/drops", 1)
            .expect("exists");
        let (bytes, _) = image.finish(3).expect("fits");
        let header = Header::parse(bytes[..HEADER_LEN].try_into().expect("40"));
        assert_eq!(
            (header.version, header.epoch, header.in_progress),
            (2, 3, false)
        );
        let at = usize::try_from(header.directory).expect("small");
        assert_eq!(bytes[at - 8..at - 4], 3_u32.to_ne_bytes());
        let entry = |index: usize| {
            let start = at + index * ENTRY_LEN;
            Entry::parse(bytes[start..start + ENTRY_LEN].try_into().expect("144"))
        };
        assert_eq!((entry(0).kind, entry(0).value), (Kind::Gauge, 7));
        assert_eq!(entry(1).name, "/if/drops");
        assert_eq!(entry(2).symlink(), (1, 1));
    }

    #[test]
    fn the_shape_ignores_values_and_notices_columns() {
        let shape = |gauge, counters: &[u64]| {
            let mut image = Image::new();
            image.gauge("/g", gauge).expect("fits");
            image.simple("/c", &[counters.to_vec()]).expect("fits");
            image.finish(1).expect("fits").1
        };
        assert_eq!(shape(1, &[1, 2]), shape(9, &[8, 7]));
        assert_ne!(shape(1, &[1, 2]), shape(1, &[1]));
    }

    #[test]
    fn impossible_entries_are_refused() {
        let mut image = Image::new();
        let long = "x".repeat(NAME_LEN);
        assert_eq!(image.scalar(&long, 0), Err(ImageError::NameTooLong(long)));
        assert!(image.symlink("/a", "/b", 0).is_err());
    }
}
