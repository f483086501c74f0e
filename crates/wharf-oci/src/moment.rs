//! Moments in configs: RFC 3339, as image-spec writes them.

/// A moment as RFC 3339 in UTC, given the seconds since 1970.
///
/// ```
/// assert_eq!(wharf_oci::rfc3339(0), "1970-01-01T00:00:00Z");
/// assert_eq!(wharf_oci::rfc3339(1_772_323_199), "2026-02-28T23:59:59Z");
/// ```
pub fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Whether a text is a moment as RFC 3339: `2026-01-31T12:00:00Z`, also with a fraction of a second,
/// or with an offset as `+01:00` in place of `Z`.
pub fn is_rfc3339(text: &str) -> bool {
    let parts = text.split_at_checked(19);
    parts.is_some_and(|(moment, rest)| is_moment(moment) && is_zone(without_fraction(rest)))
}

/// `2026-01-31T12:00:00`.
fn is_moment(text: &str) -> bool {
    let is_shaped = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let number = |from: usize, to: usize| -> u64 {
        let digits = text.get(from..to).and_then(|digits| digits.parse().ok());
        digits.unwrap_or(u64::MAX)
    };
    let (year, month) = (number(0, 4), number(5, 7));
    is_shaped
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&number(8, 10))
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
}

fn without_fraction(text: &str) -> &str {
    match text.strip_prefix('.') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => {
            rest.trim_start_matches(|digit: char| digit.is_ascii_digit())
        }
        _ => text,
    }
}

/// `Z` or `+01:00`.
fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else {
        return text == "Z";
    };
    let Some((hours, minutes)) = offset.split_once(':') else {
        return false;
    };
    let below = |text: &str, limit: u64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits && text.parse().is_ok_and(|number: u64| number < limit)
    };
    below(hours, 24) && below(minutes, 60)
}

/// Year, month and day, given the days since 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    // The calendar repeats itself every 400 years.
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (mut year, mut month) = (1970 + days / DAYS_OF_400_YEARS * 400, 1);
    days %= DAYS_OF_400_YEARS;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

fn days_of(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_dates_of_the_calendar() {
        for (seconds, expected) in [
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }

    #[test]
    fn moments_that_are_none_are_told_from_those_that_are() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2024-02-29T00:00:00.123456789Z",
            "0001-01-01T00:00:00+01:30",
        ] {
            assert!(is_rfc3339(text), "{text}");
        }
        for text in [
            "",
            "now",
            "2026-01-31",
            "2026-02-29T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+1:00",
            "2026-01-31T12:00:0éZ",
        ] {
            assert!(!is_rfc3339(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_one(seconds in 0..253_402_300_800_u64) {
            prop_assert!(is_rfc3339(&rfc3339(seconds)));
        }

        #[test]
        fn any_text_is_one_or_none(text: String) {
            let _ = is_rfc3339(&text);
        }
    }
}
