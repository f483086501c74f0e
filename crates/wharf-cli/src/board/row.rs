//! The text of a row of progress, which fits a terminal of any width. Pure.

use std::time::Duration;

use console::measure_text_width;

use crate::units::bytes;

/// The bytes of a thing or of all, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) done: u64,
    /// `None` if it is not known beforehand.
    pub(crate) total: Option<u64>,
}

/// What the row for everything says beside the amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Speed {
    /// Bytes per second.
    pub(crate) rate: Option<u64>,
    pub(crate) left: Option<Duration>,
}

/// The fewest columns that a name keeps before the bar gives way, and then details.
const LEAST_NAME: usize = 12;

/// The lengths of a bar, with its ends.
const SHORTEST_BAR: usize = 12;
const LONGEST_BAR: usize = 62;

/// The row of one blob.
pub(crate) fn blob(name: &str, amount: Amount, width: usize) -> String {
    let (sum, percent) = (sum(amount), percent(amount));
    let ends = match percent {
        Some(percent) => vec![format!("{sum}  {percent}"), percent],
        None => vec![sum],
    };
    row(name, amount, &ends, width)
}

/// The row of everything.
pub(crate) fn all(name: &str, amount: Amount, speed: Speed, width: usize) -> String {
    let percent = percent(amount);
    let rate = speed.rate.map(|rate| format!("{}/s", bytes(rate)));
    let left = speed.left.map(|left| format!("{} left", time(left)));
    let joined = |parts: &[&Option<String>]| {
        let parts = parts.iter().filter_map(|part| part.as_deref());
        parts.collect::<Vec<_>>().join("  ")
    };
    let ends = [
        joined(&[&Some(sum(amount)), &percent, &rate, &left]),
        joined(&[&percent, &rate, &left]),
        joined(&[&percent, &left]),
        joined(&[&percent]),
    ];
    row(name, amount, &ends, width)
}

/// A name, a bar where there is room, and the longest of `ends` that leaves room for a name.
fn row(name: &str, amount: Amount, ends: &[String], width: usize) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    let name: &str = &name.chars().map(plain).collect::<String>();
    let length = |text: &str| measure_text_width(text);
    let wanted = length(name).min(LEAST_NAME);
    let fits = |end: &&String| length(end) + 2 + wanted <= width;
    let end = ends.iter().find(fits).or(ends.last());
    let end = end.map_or("", String::as_str);
    let Some(room) = width.checked_sub(length(end) + 2) else {
        return shortened(end, width);
    };
    let bar = match amount.total {
        Some(total) if room >= wanted + 2 + SHORTEST_BAR => {
            let spare = room.saturating_sub(length(name) + 2);
            let cells = spare.clamp(SHORTEST_BAR, LONGEST_BAR);
            Some(drawn(amount.done, total, cells))
        }
        _ => None,
    };
    let taken = bar.as_deref().map_or(0, |bar| length(bar) + 2);
    let name = shortened(name, room.saturating_sub(taken));
    let gap = room.saturating_sub(taken + length(&name));
    let (name, gap) = (name.as_str(), " ".repeat(gap));
    match bar {
        Some(bar) => format!("{name}{gap}  {bar}  {end}"),
        None => format!("{name}{gap}  {end}"),
    }
}

/// A bar of this many columns.
fn drawn(done: u64, total: u64, columns: usize) -> String {
    let cells = columns.saturating_sub(2);
    let filled = match total {
        0 => cells,
        total => {
            let part = u128::from(done.min(total)) * (cells as u128) / u128::from(total);
            usize::try_from(part).unwrap_or(cells)
        }
    };
    let (full, empty) = ("=".repeat(filled), " ".repeat(cells.saturating_sub(filled)));
    format!("[{full}{empty}]")
}

/// The end of `text` with `…` before it, if it is longer than this many columns: its end tells
/// things apart.
fn shortened(text: &str, columns: usize) -> String {
    if measure_text_width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut kept: Vec<char> = Vec::new();
    for letter in text.chars().rev() {
        kept.push(letter);
        let candidate: String = kept.iter().collect();
        if measure_text_width(&candidate) + 1 > columns {
            kept.pop();
            break;
        }
    }
    let end: String = kept.iter().rev().collect();
    format!("…{end}")
}

fn sum(amount: Amount) -> String {
    match amount.total {
        Some(total) => format!("{}/{}", bytes(amount.done), bytes(total)),
        None => bytes(amount.done),
    }
}

fn percent(amount: Amount) -> Option<String> {
    let percent = match amount.total? {
        0 => 100,
        total => u128::from(amount.done.min(total)) * 100 / u128::from(total),
    };
    Some(format!("{percent:>3}%"))
}

/// A length of time in its two largest units.
fn time(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use snapbox::{assert_data_eq, str};

    use super::*;

    const NAME: &str = "registry.example/team/app: layer     sha256:df176e10389e";

    fn amount(done: u64, total: u64) -> Amount {
        Amount {
            done,
            total: Some(total),
        }
    }

    #[test]
    fn fault_c12_rows_fit_every_width() {
        let speed = Speed {
            rate: Some(12_300_000),
            left: Some(Duration::from_secs(135)),
        };
        let mut rows = String::new();
        for width in [20, 40, 60, 80, 120, 200] {
            let some = amount(12_345_678, 45_600_000);
            rows += &format!("{width}\n{}\n", blob(NAME, some, width));
            let unknown = Amount {
                total: None,
                ..some
            };
            rows += &format!("{}\n", blob("layer     standard input", unknown, width));
            rows += &format!("{}\n", all("total", some, speed, width));
        }
        assert_data_eq!(
            rows,
            str![[r#"
20
…:df176e10389e   27%
…dard input  12.3 MB
total            27%
40
…256:df176e10389e  12.3 MB/45.6 MB   27%
layer     standard input         12.3 MB
total    27%  12.3 MB/s  2 min 15 s left
60
…   sha256:df176e10389e  [==        ]  12.3 MB/45.6 MB   27%
layer     standard input                             12.3 MB
total      12.3 MB/45.6 MB   27%  12.3 MB/s  2 min 15 s left
80
…le/team/app: layer     sha256:df176e10389e  [==        ]  12.3 MB/45.6 MB   27%
layer     standard input                                                 12.3 MB
total  [=====               ]  12.3 MB/45.6 MB   27%  12.3 MB/s  2 min 15 s left
120
registry.example/team/app: layer     sha256:df176e10389e  [==========                           ]  12.3 MB/45.6 MB   27%
layer     standard input                                                                                         12.3 MB
total  [================                                            ]  12.3 MB/45.6 MB   27%  12.3 MB/s  2 min 15 s left
200
registry.example/team/app: layer     sha256:df176e10389e                                                           [================                                            ]  12.3 MB/45.6 MB   27%
layer     standard input                                                                                                                                                                         12.3 MB
total                                                                                  [================                                            ]  12.3 MB/45.6 MB   27%  12.3 MB/s  2 min 15 s left

"#]]
        );
    }

    #[test]
    fn fault_c12_a_time_has_its_two_largest_units() {
        let shown = |seconds| time(Duration::from_secs(seconds));
        assert_eq!([shown(0), shown(59)], ["0 s", "59 s"]);
        assert_eq!([shown(60), shown(3599)], ["1 min 0 s", "59 min 59 s"]);
        assert_eq!([shown(3600), shown(90_061)], ["1 h 0 min", "25 h 1 min"]);
    }

    proptest! {
        #[test]
        fn fault_c12_a_row_is_never_wider_than_the_terminal_and_its_end_is_whole(
            name in "[a-z0-9./: é漢字]{0,120}",
            done in 0..u64::MAX,
            total in proptest::option::of(0..u64::MAX),
            rate in proptest::option::of(0..u64::MAX),
            left in proptest::option::of(0..u64::from(u32::MAX)),
            width in 20..=200_usize,
        ) {
            let amount = Amount { done, total };
            let speed = Speed { rate, left: left.map(Duration::from_secs) };
            for row in [blob(&name, amount, width), all(&name, amount, speed, width)] {
                let columns = measure_text_width(&row);
                prop_assert!(columns <= width, "{columns} of {width}: {row:?}");
            }
            if let Some(percent) = percent(amount) {
                let row = blob(&name, amount, width);
                prop_assert!(row.ends_with(&percent), "{row:?}");
            }
        }

        #[test]
        fn fault_c12_no_width_is_too_small(name in ".{0,40}", width in 0..20_usize) {
            let row = blob(&name, amount(1, 2), width);
            prop_assert!(measure_text_width(&row) <= width.max(4), "{row:?}");
        }
    }
}
