//! Files with holes: which bytes of the file a tar holds (GNU tar manual, "Storing Sparse Files").

use std::collections::VecDeque;

use super::pax::{Records, number};

/// The most pieces of one file.
pub(crate) const MOST_PIECES: usize = 1 << 20;

/// The pieces of a file that are stored, in order; between them are zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// Offset and length, in bytes of the file.
    left: VecDeque<(u64, u64)>,
    position: u64,
    size: u64,
}

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// So many stored bytes.
    Data(u64),
    /// So many zeros.
    Zeros(u64),
}

impl Pieces {
    /// A file without holes.
    pub(crate) fn whole(size: u64) -> Self {
        Pieces {
            left: VecDeque::from([(0, size)]),
            position: 0,
            size,
        }
    }

    /// A file of `size` bytes with these pieces; `None` if they overlap, lie outside, or do not
    /// take `stored` bytes.
    pub(crate) fn new(pieces: Vec<(u64, u64)>, size: u64, stored: u64) -> Option<Self> {
        let mut end = 0;
        let mut sum = 0_u64;
        for (offset, length) in &pieces {
            let next = offset.checked_add(*length)?;
            if *offset < end || next > size {
                return None;
            }
            end = next;
            sum += length;
        }
        (sum == stored).then_some(Pieces {
            left: pieces.into(),
            position: 0,
            size,
        })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The next run; `None` at the end. Nothing is consumed.
    pub(crate) fn next(&mut self) -> Option<Run> {
        while let Some((offset, length)) = self.left.front() {
            if self.position < *offset {
                return Some(Run::Zeros(offset - self.position));
            }
            let left = (offset + length).saturating_sub(self.position);
            if left > 0 {
                return Some(Run::Data(left));
            }
            self.left.pop_front();
        }
        let left = self.size - self.position;
        (left > 0).then_some(Run::Zeros(left))
    }

    /// Goes on by `length` bytes of the file, at most those of the run.
    pub(crate) fn advance(&mut self, length: u64) {
        self.position += length;
    }
}

/// How the records of a file say that it has holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// They do not.
    No,
    /// The pieces, and the size of the file.
    Here(Vec<(u64, u64)>, u64),
    /// The pieces stand at the beginning of the content; the size of the file.
    InContent(u64),
    /// They cannot be understood.
    Malformed,
}

/// Reads formats 0.0, 0.1 and 1.0 of sparse files in pax records.
pub(crate) fn noted(records: &Records) -> Noted {
    let get = |key: &[u8]| records.get(key);
    let is = |key: &[u8], value: &[u8]| get(key) == Some(value);
    let read = || {
        if is(b"GNU.sparse.major", b"1") && is(b"GNU.sparse.minor", b"0") {
            return Some(Noted::InContent(number(get(b"GNU.sparse.realsize")?)?));
        }
        let size = number(get(b"GNU.sparse.size").or(get(b"GNU.sparse.realsize"))?)?;
        let numbers: Option<Vec<u64>> = match get(b"GNU.sparse.map") {
            Some(map) => map.split(|byte| *byte == b',').map(number).collect(),
            None => in_turn(records),
        };
        Some(Noted::Here(pairs(&numbers?)?, size))
    };
    let any = records.iter().any(|(key, _)| is_sparse(key));
    match any {
        true => read().unwrap_or(Noted::Malformed),
        false => Noted::No,
    }
}

/// Whether a record is about holes.
pub(crate) fn is_sparse(key: &[u8]) -> bool {
    key.starts_with(b"GNU.sparse.")
}

/// Pairs of numbers.
pub(crate) fn pairs(numbers: &[u64]) -> Option<Vec<(u64, u64)>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[offset, length]| (*offset, *length)))
        .map(Iterator::collect)
}

/// Format 0.0: a record for each offset and each length, in turn.
fn in_turn(records: &Records) -> Option<Vec<u64>> {
    let wanted = |key: &[u8]| matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
    let values = records.iter().filter(|(key, _)| wanted(key));
    values.map(|(_, value)| number(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pairs: &[(&str, &str)]) -> Records {
        let mut records = Records::default();
        for (key, value) in pairs {
            records.add(format!("GNU.sparse.{key}").as_bytes(), value.as_bytes());
        }
        records
    }

    #[test]
    fn three_formats_are_read() {
        let old = records(&[
            ("size", "20"),
            ("numblocks", "2"),
            ("offset", "1"),
            ("numbytes", "2"),
            ("offset", "9"),
            ("numbytes", "0"),
        ]);
        assert_eq!(noted(&old), Noted::Here(vec![(1, 2), (9, 0)], 20));
        let map = records(&[("size", "20"), ("map", "1,2,9,0")]);
        assert_eq!(noted(&map), Noted::Here(vec![(1, 2), (9, 0)], 20));
        let new = records(&[("major", "1"), ("minor", "0"), ("realsize", "20")]);
        assert_eq!(noted(&new), Noted::InContent(20));
        for bad in [&[("map", "1,2")][..], &[("size", "2"), ("map", "1")]] {
            assert_eq!(noted(&records(bad)), Noted::Malformed);
        }
        assert_eq!(noted(&Records::default()), Noted::No);
    }

    #[test]
    fn pieces_give_runs_of_data_and_zeros() {
        let mut pieces = Pieces::new(vec![(2, 3), (8, 0)], 9, 3).unwrap();
        let mut runs = Vec::new();
        while let Some(run) = pieces.next() {
            let (Run::Data(length) | Run::Zeros(length)) = run;
            pieces.advance(length);
            runs.push(run);
        }
        assert_eq!(
            runs,
            [Run::Zeros(2), Run::Data(3), Run::Zeros(3), Run::Zeros(1)]
        );
        assert_eq!(Pieces::new(vec![(2, 3), (4, 1)], 9, 4), None);
        assert_eq!(Pieces::new(vec![(2, 3)], 4, 3), None);
        assert_eq!(Pieces::new(vec![(2, 3)], 9, 4), None);
        assert_eq!(Pieces::new(vec![(u64::MAX, 2)], 9, 2), None);
    }
}
