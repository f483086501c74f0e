//! Reading blobs, whole or in part, and deleting them.

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, StatusCode};
use wharf_oci::{Digest, RepositoryName, Selector, digits};

use super::conditions::{self, Verdict};
use super::respond::{
    Answer, Code, Refusal, empty, name_content, not_modified, refuse, set, streamed,
};
use super::route::Reading;
use crate::Registry;

/// distribution-spec: "Pulling blobs".
pub(crate) async fn read(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    reading: Reading,
    headers: &HeaderMap,
) -> Result<Answer, Box<Refusal>> {
    let unknown = |error| refuse(error, Code::BlobUnknown);
    let storage = &registry.storage;
    let size = storage.blob_size(name, digest).await.map_err(unknown)?;
    match conditions::of_read(headers, digest) {
        Verdict::Proceed => {}
        Verdict::Known => return Ok(not_modified(digest)),
        Verdict::Other => return Err(conditions::failed(digest)),
    }
    // RFC 9110, 14.2: a range applies to GET only.
    let counts = reading == Reading::Get && conditions::allows_range(headers, digest);
    let mut ranges = headers.get_all(RANGE).iter();
    let wanted = match (
        ranges.next().and_then(|value| value.to_str().ok()),
        ranges.next(),
    ) {
        (Some(range), None) if counts => part(range, size),
        _ => Part::Whole,
    };
    let (status, start, length) = match wanted {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Some { start, length } => (StatusCode::PARTIAL_CONTENT, start, length),
        Part::None => {
            return Err(
                Refusal::new(Code::SizeInvalid, format!("the blob has {size} bytes"))
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(CONTENT_RANGE, format!("bytes */{size}")),
            );
        }
    };
    let mut answer = if reading == Reading::Head || length == 0 {
        empty(status)
    } else {
        let stream = storage.read_blob(name, digest, start, length).await;
        streamed(status, stream.map_err(unknown)?)
    };
    set(&mut answer, CONTENT_LENGTH, &length.to_string());
    set(&mut answer, CONTENT_TYPE, "application/octet-stream");
    name_content(&mut answer, digest);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let end = start + length - 1;
        set(
            &mut answer,
            CONTENT_RANGE,
            &format!("bytes {start}-{end}/{size}"),
        );
    }
    Ok(answer)
}

/// distribution-spec: "Deleting Blobs".
pub(crate) async fn delete(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    headers: &HeaderMap,
) -> Result<Answer, Box<Refusal>> {
    let storage = &registry.storage;
    if let Some(condition) = conditions::of_write(headers, &Selector::Digest(digest.clone())) {
        let found = storage.has_blob(name, digest).await;
        let found = found.map_err(|error| refuse(error, Code::BlobUnknown))?;
        // What a digest names never changes: nothing can come between this and the deletion.
        if found && !condition.holds(Some(digest)) {
            return Err(conditions::failed(digest));
        }
    }
    let deleted = storage.delete_blob(name, digest).await;
    deleted.map_err(|error| refuse(error, Code::BlobUnknown))?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// The part of content that a `Range` header selects.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Some { start: u64, length: u64 },
    None,
}

/// RFC 9110, 14.1.2. An unknown range, or several ranges, select the whole.
fn part(range: &str, size: u64) -> Part {
    let spec = range
        .trim()
        .split_once('=')
        .filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"))
        .and_then(|(_, spec)| spec.trim().split_once('-'));
    let Some((first, last)) = spec else {
        return Part::Whole;
    };
    let (start, end) = match (position(first), position(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return Part::Whole,
    };
    match end.checked_sub(start) {
        Some(length) if length > 0 => Part::Some { start, length },
        _ => Part::None,
    }
}

/// A position in digits. One that no number holds is beyond all content.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits(text).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_http_says() {
        let some = |start, length| Part::Some { start, length };
        for (range, expected) in [
            ("bytes=0-0", some(0, 1)),
            ("bytes=2-", some(2, 8)),
            ("bytes=2-5", some(2, 4)),
            ("bytes=2-99", some(2, 8)),
            ("bytes=-3", some(7, 3)),
            ("bytes=-99", some(0, 10)),
            ("bytes=10-", Part::None),
            ("bytes=10-12", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=-", Part::Whole),
            ("Bytes=0-0", some(0, 1)),
            ("bytes=99999999999999999999-", Part::None),
            ("bytes=0-99999999999999999999", some(0, 10)),
            ("bytes=-99999999999999999999", some(0, 10)),
            ("bytes=+1-3", Part::Whole),
            ("bytes=1-+3", Part::Whole),
            ("bytes=+1-", Part::Whole),
            ("bytes=-+3", Part::Whole),
            ("bytes=0x1-3", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_content(range in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let Part::Some { start, length } = part(&range, size) {
                prop_assert!(length > 0);
                prop_assert!(start.checked_add(length).unwrap() <= size);
            }
        }
    }
}
