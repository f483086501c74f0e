//! The last line of a command that moved something: where it is now, and what that took.

use std::time::Duration;

use wharf::copy::Summary;
use wharf_oci::{Digest, Tag};

use crate::json_line::JsonLine;
use crate::units::{bytes, count, seconds};

/// Where content is, for people: `localhost:5000/app:1, 2 sha256:…`.
pub(crate) fn place(destination: &str, tags: &[Tag], digest: Option<&Digest>) -> String {
    let mut place = destination.to_owned();
    if !tags.is_empty() {
        place.push_str(&format!(":{}", names(tags)));
    }
    if let Some(digest) = digest {
        place.push_str(&format!(" {digest}"));
    }
    place
}

/// What a copy did, for people: `5 blobs, 12.3 MB sent, 2 existed, 1 mounted; 3.2 s`.
pub(super) fn line(tags: &[Tag], summary: &Summary, time: Duration) -> String {
    let mut line = work(tags, summary);
    if summary.skipped > 0 {
        let skipped = count(summary.skipped, "non-distributable layer");
        line.push_str(&format!(", {skipped} skipped"));
    }
    format!("{line}; {}", seconds(time))
}

fn work(tags: &[Tag], summary: &Summary) -> String {
    let blobs = summary.written + summary.existed + summary.mounted;
    match () {
        () if summary.manifests == 0 => return "already up to date".to_owned(),
        () if summary.retagged == 0 || blobs > 0 => {}
        () if tags.is_empty() => return "the image was already there".to_owned(),
        () => return format!("tagged {}; the image was already there", names(tags)),
    }
    let mut line = match summary.written {
        0 => "no blob sent".to_owned(),
        written => format!("{}, {} sent", count(written, "blob"), bytes(summary.bytes)),
    };
    for (number, what) in [(summary.existed, "existed"), (summary.mounted, "mounted")] {
        if number > 0 {
            line.push_str(&format!(", {number} {what}"));
        }
    }
    line
}

fn names(tags: &[Tag]) -> String {
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    names.join(", ")
}

/// For programs.
pub(super) fn json(destination: &str, tags: &[Tag], summary: &Summary, time: Duration) -> JsonLine {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let line = JsonLine::new("event", "summary")
        .text("destination", destination)
        .texts("tags", tags)
        .number("written", summary.written)
        .number("bytes", summary.bytes)
        .number("existed", summary.existed)
        .number("mounted", summary.mounted)
        .number("manifests", summary.manifests)
        .number("unchanged", summary.unchanged)
        .number("skipped", summary.skipped)
        .number("milliseconds", milliseconds);
    match summary.roots.last() {
        Some(root) => line.text("digest", &root.digest),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c10_the_last_line_says_where_it_is_and_what_that_took() {
        let digest = Digest::of(b"");
        let tags = |names: &[&str]| -> Vec<Tag> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        for (names, expected) in [
            (&["1"][..], format!("r.example/a:1 {digest}")),
            (&["1", "new"], format!("r.example/a:1, new {digest}")),
            (&[], format!("r.example/a {digest}")),
        ] {
            assert_eq!(place("r.example/a", &tags(names), Some(&digest)), expected);
        }
    }

    #[test]
    fn fault_c10_what_did_not_happen_is_not_counted() {
        let tag: Tag = "3".parse().unwrap();
        let said = |tags: &[Tag], summary: Summary| line(tags, &summary, Duration::from_secs(3));
        let put = Summary {
            manifests: 1,
            ..Summary::default()
        };
        let sent = Summary {
            written: 5,
            bytes: 12_300_000,
            ..put.clone()
        };
        let retagged = Summary {
            retagged: 1,
            ..put.clone()
        };
        for (summary, expected) in [
            (Summary::default(), "already up to date; 3.0 s"),
            (sent.clone(), "5 blobs, 12.3 MB sent; 3.0 s"),
            (
                Summary {
                    existed: 2,
                    mounted: 1,
                    skipped: 1,
                    ..sent
                },
                "5 blobs, 12.3 MB sent, 2 existed, 1 mounted, \
                 1 non-distributable layer skipped; 3.0 s",
            ),
            (
                Summary {
                    existed: 2,
                    ..put.clone()
                },
                "no blob sent, 2 existed; 3.0 s",
            ),
            // An index without children has no blobs either.
            (put, "no blob sent; 3.0 s"),
            (
                retagged.clone(),
                "tagged 3; the image was already there; 3.0 s",
            ),
        ] {
            assert_eq!(said(std::slice::from_ref(&tag), summary), expected);
        }
        assert_eq!(said(&[], retagged), "the image was already there; 3.0 s");
    }
}
