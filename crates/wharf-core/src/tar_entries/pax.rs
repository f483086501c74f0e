//! Records of extended headers (POSIX pax, "pax Extended Header"). Values are bytes: those of
//! extended attributes may hold line ends.

/// The records of one header, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Reads `LENGTH KEY=VALUE\n` for each record; `None` if it is not that.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Records> {
        let mut records = Records::default();
        // Some writers pad with zeros.
        while bytes.first().is_some_and(|byte| *byte != 0) {
            let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
            let length = number(bytes.get(..space)?)?;
            let length = usize::try_from(length).ok()?;
            let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = record.split_at(equals);
            records.add(key, value.get(1..)?);
            bytes = bytes.get(length..)?;
        }
        Some(records)
    }

    /// Adds a record at the end.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0.push((key.to_vec(), value.to_vec()));
    }

    /// The value of the last record with this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|(own, _)| own == key);
        found.map(|(_, value)| value.as_slice())
    }

    /// All keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&key[..], &value[..]))
    }

    /// Removes the records with keys that `of` accepts.
    pub(crate) fn remove(&mut self, of: impl Fn(&[u8]) -> bool) {
        self.0.retain(|(key, _)| !of(key));
    }

    /// Their bytes, sorted by key, of one key the last; empty if there are none.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let last: std::collections::BTreeMap<&[u8], &[u8]> = self.iter().collect();
        let mut bytes = Vec::new();
        for (key, value) in last {
            let rest = key.len() + value.len() + 3;
            // The length counts its own digits.
            let mut length = rest;
            while length != rest + digits(length) {
                length = rest + digits(length);
            }
            bytes.extend_from_slice(length.to_string().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(key);
            bytes.push(b'=');
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// A number in decimal digits, without sign.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok()?;
    is_number.then(|| text.parse().ok())?
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_record_is_refused() {
        for bytes in [&b"x"[..], b"5 a=b", b"99 a=b\n", b"+6 a=b\n", b"6 abcd\n"] {
            assert_eq!(Records::parse(bytes), None, "{bytes:?}");
        }
        assert_eq!(Records::parse(b"\0\0"), Some(Records::default()));
    }

    #[test]
    fn the_length_counts_itself() {
        let mut records = Records::default();
        records.add(b"k", &[b'v'; 94]);
        let bytes = records.to_bytes();
        assert!(bytes.starts_with(b"101 k=vv"), "{bytes:?}");
        assert_eq!(bytes.len(), 101);
    }

    proptest! {
        #[test]
        fn bytes_of_records_are_read_back(
            pairs in proptest::collection::btree_map("[a-z.]{1,20}", any::<Vec<u8>>(), 0..5)
        ) {
            let mut records = Records::default();
            for (key, value) in &pairs {
                records.add(key.as_bytes(), value);
            }
            prop_assert_eq!(Records::parse(&records.to_bytes()), Some(records));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Records::parse(&bytes);
        }
    }
}
