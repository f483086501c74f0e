//! Formats and parses numbers for people.

use std::num::{IntErrorKind, NonZeroU64, ParseIntError};
use std::str::FromStr;
use std::time::Duration;

use wharf_oci::{Digest, MediaType};

/// Hex digits of a digest that suffice to distinguish the blobs of an image.
const SHORT: usize = 12;

/// A number of bytes in decimal units: `474 B`, `12.3 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        // 999.96 kB would be shown as 1000.0 kB.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A number of things, singular or plural: `1 blob`, `2 blobs`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// A length of time in seconds: `1.2 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Algorithm and first digits of a digest: `sha256:df176e10389e`.
pub(crate) fn short(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}:{}", digest.algorithm(), hex.get(..SHORT).unwrap_or(hex))
}

/// The kind of content of a media type, in one word.
pub(crate) fn kind(media_type: &MediaType) -> &'static str {
    match () {
        () if media_type.is_layer() => "layer",
        () if media_type.is_config() => "config",
        () if media_type.is_index() => "index",
        () if media_type.is_manifest() => "manifest",
        () => "blob",
    }
}

/// Parses a number of bytes, plain or with `k`, `M` or `G` for powers of 1000, or `Ki`, `Mi` or
/// `Gi` for powers of 1024.
///
/// # Errors
/// A message for the user, if it is not a number.
pub(crate) fn size(text: &str) -> Result<NonZeroU64, String> {
    const UNITS: [(&str, u64); 6] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
    ];
    let text = text.strip_suffix('B').unwrap_or(text);
    let unit = UNITS
        .iter()
        .find_map(|(name, factor)| Some((text.strip_suffix(name)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    let number: Option<u64> = number.trim().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(factor));
    let none = || "not a number of bytes, such as 5000000, 16Mi or 10M".to_owned();
    bytes.and_then(NonZeroU64::new).ok_or_else(none)
}

/// Parses a number that is not zero.
///
/// # Errors
/// A message for the user, if it is not a number, or too large.
pub(crate) fn at_least_one<N>(text: &str) -> Result<N, String>
where
    N: FromStr<Err = ParseIntError>,
{
    text.parse().map_err(|error: N::Err| match error.kind() {
        IntErrorKind::Zero | IntErrorKind::NegOverflow => "at least 1 is needed".to_owned(),
        IntErrorKind::PosOverflow => "that is too many".to_owned(),
        _ => "not a number of at least 1".to_owned(),
    })
}

/// Parses a number that may be zero.
///
/// # Errors
/// A message for the user, if it is not a number, or too large.
pub(crate) fn whole(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => "that is too many".to_owned(),
            _ => "not a whole number".to_owned(),
        })
}

/// A moment: RFC 3339, or seconds since 1970.
///
/// # Errors
/// Text that is neither.
pub(crate) fn moment(text: &str) -> Result<String, String> {
    if wharf_oci::is_rfc3339(text) {
        return Ok(text.to_owned());
    }
    match text.parse() {
        Ok(seconds @ 0..=LAST_SECOND) => Ok(wharf_oci::rfc3339(seconds)),
        _ => Err("not a time like 2026-01-31T12:00:00Z, or seconds since 1970".to_owned()),
    }
}

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        let read = |text| size(text).map(NonZeroU64::get).ok();
        assert_eq!(read("5000"), Some(5000));
        assert_eq!(read("16Mi"), Some(16 << 20));
        assert_eq!(read("10MB"), Some(10_000_000));
        assert_eq!(read("1 GiB"), Some(1 << 30));
        for text in [
            "",
            "0",
            "x",
            "-1",
            "1T",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_must_be_something_is_not_nothing() {
        let read = |text| at_least_one::<NonZeroU64>(text).map(NonZeroU64::get);
        assert_eq!(read("3"), Ok(3));
        assert_eq!(read("0"), Err("at least 1 is needed".to_owned()));
        for text in ["-1", "x", "", "1.5"] {
            assert!(read(text).unwrap_err().contains("at least 1"), "{text}");
        }
        assert!(read("99999999999999999999999").is_err());
    }

    #[test]
    fn sizes_have_one_decimal_in_the_unit_that_fits() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345_678, "12.3 MB"),
            (999_999, "1.0 MB"),
            (2_147_483_648, "2.1 GB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn a_short_digest_keeps_its_algorithm() {
        assert_eq!(short(&Digest::of(b"")), "sha256:e3b0c44298fc");
    }
}
