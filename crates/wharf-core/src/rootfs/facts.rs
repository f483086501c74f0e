//! The attributes of an entry, as numbers.

use crate::Result;
use crate::tar_entries::{Entry, malformed};

/// Fields of a header: where they begin, and their bytes (POSIX ustar).
const MODE: (usize, usize) = (100, 8);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const MTIME: (usize, usize) = (136, 12);
const MAJOR: (usize, usize) = (329, 8);
const MINOR: (usize, usize) = (337, 8);

/// The attributes of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Permissions with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of content.
    pub(crate) size: u64,
    /// Seconds since 1970, and billionths of a second after that.
    pub(crate) modified: (i64, u32),
    /// The numbers of a device.
    pub(crate) device: (u32, u32),
}

impl Facts {
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for what is no number, or too large.
    pub(crate) fn of(entry: &Entry) -> Result<Self> {
        let read = || {
            let is_device = entry.kind.is_character_special() || entry.kind.is_block_special();
            let device = match is_device && (is_ustar(entry)) {
                true => (field(entry, MAJOR)?, field(entry, MINOR)?),
                false => (0, 0),
            };
            let number = |key: &[u8], at| match entry.records.get(key) {
                Some(record) => text(record)?.parse().ok(),
                None => field(entry, at),
            };
            let modified = match entry.records.get(b"mtime") {
                Some(record) => time(text(record)?)?,
                None => (i64::try_from(raw(entry, MTIME)?).ok()?, 0),
            };
            Some(Facts {
                mode: u32::try_from(raw(entry, MODE)? & 0o7777).ok()?,
                uid: u32::try_from(number(b"uid", UID)?).ok()?,
                gid: u32::try_from(number(b"gid", GID)?).ok()?,
                size: entry.size(),
                modified,
                device: (u32::try_from(device.0).ok()?, u32::try_from(device.1).ok()?),
            })
        };
        read().ok_or_else(|| malformed(entry.at, "attributes that are no numbers"))
    }
}

fn is_ustar(entry: &Entry) -> bool {
    entry.header.as_ustar().is_some() || entry.header.as_gnu().is_some()
}

fn text(record: &[u8]) -> Option<&str> {
    std::str::from_utf8(record).ok()
}

fn field(entry: &Entry, at: (usize, usize)) -> Option<u64> {
    u64::try_from(raw(entry, at)?).ok()
}

/// A field of a header. An empty one is 0.
fn raw(entry: &Entry, (start, length): (usize, usize)) -> Option<i128> {
    let field = entry.header.as_bytes().get(start..start + length)?;
    if let Some(number) = binary(field) {
        return Some(number);
    }
    let digits = field.split(|byte| *byte == 0).next()?.trim_ascii();
    match digits.is_empty() {
        true => Some(0),
        false => i128::from_str_radix(text(digits)?, 8).ok(),
    }
}

/// A number in GNU's binary form: two's complement, big end first; the highest bit only marks the
/// form.
pub(super) fn binary(field: &[u8]) -> Option<i128> {
    let first = field.first().filter(|first| **first & 0x80 != 0)?;
    let sign = if first & 0x40 == 0 { 0 } else { -1 };
    let begin = (sign << 7) | i128::from(first & 0x7f);
    let rest = field.iter().skip(1);
    Some(rest.fold(begin, |value, byte| (value << 8) | i128::from(*byte)))
}

/// `-1.5` is half a second after -2.
fn time(text: &str) -> Option<(i64, u32)> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let is_decimal = rest.bytes().all(|byte| byte.is_ascii_digit());
    let digits: String = rest.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos: u32 = digits.parse().ok().filter(|_| is_decimal)?;
    match whole.starts_with('-') && nanos > 0 {
        true => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        false => Some((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_have_parts_of_seconds_and_may_be_before_1970() {
        for (text, expected) in [
            ("1.5", Some((1, 500_000_000))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("7", Some((7, 0))),
            ("7.1234567891", Some((7, 123_456_789))),
            ("7.x", None),
            ("", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_numbers_have_a_sign() {
        assert_eq!(binary(&[0x80, 0, 1, 2]), Some(258));
        assert_eq!(binary(&[0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(binary(b"0000644\0"), None);
    }

    proptest! {
        #[test]
        fn any_attributes_are_read_without_panic(bytes in any::<[u8; 512]>(), mtime: Vec<u8>) {
            let mut header = tar::Header::new_ustar();
            let kept = header.as_mut_bytes();
            kept[100..148].copy_from_slice(&bytes[100..148]);
            kept[329..345].copy_from_slice(&bytes[329..345]);
            header.set_entry_type(tar::EntryType::Char);
            header.set_size(0);
            header.set_cksum();
            let mut entries = crate::tar_entries::Entries::new(header.as_bytes().as_slice());
            let mut entry = entries.next().unwrap().unwrap();
            let _ = Facts::of(&entry);
            entry.records.add(b"mtime", &mtime);
            let _ = Facts::of(&entry);
        }
    }
}
