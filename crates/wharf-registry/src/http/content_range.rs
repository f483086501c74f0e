//! The place in a session that the body of a request claims to have.

use futures::{StreamExt, stream};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::digits;

use super::respond::{Code, Refusal};

/// The place of a body: where it begins, and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    length: u64,
}

/// Whether a request has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Bytes,
    Nothing,
}

impl Extent {
    /// The place that `Content-Range` states, if there is one. distribution-spec, "Pushing a blob in
    /// chunks": `<start>-<end>`; some clients send HTTP's form, `bytes <start>-<end>/<size>`.
    pub(super) fn of(headers: &HeaderMap, sent: Sent) -> Result<Option<Self>, Box<Refusal>> {
        let mut lines = headers.get_all(CONTENT_RANGE).iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        let parsed = line.to_str().ok().and_then(parse);
        let Some((start, claimed)) = parsed.filter(|_| lines.next().is_none()) else {
            let message = "Content-Range is not <start>-<end>";
            return Err(Refusal::new(Code::BlobUploadInvalid, message));
        };
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| digits(value.to_str().ok()?));
        let agree = match (sent, length) {
            // No range expresses an empty last chunk: clients send `5-4` or `5-5` for it.
            (Sent::Nothing, _) => claimed <= 1,
            (Sent::Bytes, Some(length)) => length == claimed,
            // The bytes are counted as they arrive.
            (Sent::Bytes, None) => true,
        };
        if !agree {
            let message = "Content-Range and the length of the body disagree";
            return Err(Refusal::new(Code::SizeInvalid, message));
        }
        let length = match sent {
            Sent::Bytes => claimed,
            Sent::Nothing => 0,
        };
        Ok(Some(Extent { start, length }))
    }

    /// The same bytes; fails with [`ErrorKind::Invalid`] if there are more or fewer.
    pub(super) fn exactly(self, bytes: ByteStream) -> ByteStream {
        let claimed = self.length;
        let wrong = move |said: String| {
            let said = format!("Content-Range says {claimed} bytes, the body has {said}");
            Error::new(ErrorKind::Invalid, said)
        };
        stream::try_unfold((bytes, 0), move |(mut bytes, seen)| async move {
            let Some(chunk) = bytes.next().await.transpose()? else {
                return match seen == claimed {
                    true => Ok(None),
                    false => Err(wrong(seen.to_string())),
                };
            };
            let seen = seen + chunk.len() as u64;
            match seen <= claimed {
                true => Ok(Some((chunk, (bytes, seen)))),
                false => Err(wrong("more".to_owned())),
            }
        })
        .boxed()
    }
}

/// The first position of a range, and its length.
fn parse(text: &str) -> Option<(u64, u64)> {
    let text = text.trim();
    let range = match text.strip_prefix("bytes") {
        Some(rest) => rest.strip_prefix([' ', '='])?,
        None => text,
    };
    let (range, size) = match range.split_once('/') {
        Some((range, "*")) => (range, None),
        Some((range, size)) => (range, Some(digits(size)?)),
        None => (range, None),
    };
    let (start, end) = range.split_once('-')?;
    let (start, after) = (digits(start)?, digits(end)?.checked_add(1)?);
    if size.is_some_and(|size| after > size) {
        return None;
    }
    Some((start, after.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::TryStreamExt;

    use super::*;

    #[test]
    fn fault_b18_a_range_is_made_of_digits() {
        for (text, expected) in [
            ("0-9", Some((0, 10))),
            ("5-5", Some((5, 1))),
            ("5-4", Some((5, 0))),
            ("bytes 5-9/10", Some((5, 5))),
            ("bytes=5-9", Some((5, 5))),
            ("bytes 5-9/*", Some((5, 5))),
            (" 5-9 ", Some((5, 5))),
            ("+0-9", None),
            ("0-+9", None),
            ("-0-9", None),
            ("0--9", None),
            ("0x0-9", None),
            ("0 - 9", None),
            ("5-3", None),
            ("0-", None),
            ("-9", None),
            ("bytesbytes 0-9", None),
            ("bytes0-9", None),
            ("bytes 0-9/5", None),
            ("bytes 0-9/+20", None),
            ("0-18446744073709551615", None),
            ("0-18446744073709551616", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn fault_b18_a_body_has_the_length_that_its_range_says() {
        let body = |chunks: &[&'static str]| {
            let chunks: Vec<Result<Bytes>> = chunks.iter().map(|text| Ok((*text).into())).collect();
            let extent = Extent {
                start: 7,
                length: 5,
            };
            let exactly = extent.exactly(stream::iter(chunks).boxed());
            exactly.try_collect::<Vec<Bytes>>()
        };
        assert_eq!(body(&["he", "llo"]).await.unwrap().concat(), b"hello");
        for wrong in [&[][..], &["hell"], &["hello", "!"], &["hello!"]] {
            let error = body(wrong).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong:?}");
        }
    }
}
