//! How documents are written as JSON: the bytes decide about their digests.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A document as compact JSON. As in other tools, `<`, `>`, `&` and the separators U+2028 and U+2029
/// are written as `\u003c` and so on, so that equal documents have equal digests.
///
/// ```
/// use wharf_oci::compact_json;
/// assert_eq!(compact_json(&["a<b>", "&"])?, br#"["a\u003cb\u003e","\u0026"]"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// When the value has a map with keys that are not text.
pub fn compact_json<T: Serialize + ?Sized>(document: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping))?;
    Ok(bytes)
}

/// Compact JSON with escapes for what HTML and JavaScript treat as their own.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let special = |character| matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        for part in fragment.split_inclusive(special) {
            let plain = part.trim_end_matches(special);
            writer.write_all(plain.as_bytes())?;
            if let Some(character) = part.chars().next_back().filter(|last| special(*last)) {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{Descriptor, Digest, ImageManifest, Index, MediaType};

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(compact_json(value).unwrap()).unwrap()
    }

    #[test]
    fn what_html_and_javascript_treat_as_their_own_is_escaped() {
        assert_eq!(
            text(&"<<a>\u{2028}\u{2029}&\"\\\n é"),
            r#""\u003c\u003ca\u003e\u2028\u2029\u0026\"\\\n é""#
        );
        let keys = serde_json::json!({"a&b": {"<": []}});
        assert_eq!(text(&keys), r#"{"a\u0026b":{"\u003c":[]}}"#);
    }

    #[test]
    fn fields_are_in_the_order_of_other_tools() {
        let document = serde_json::json!({
            "schemaVersion": 2, "mediaType": "m/i", "artifactType": "a/t", "annotations": {"k": "v"},
            "zebra": 1, "manifests": [{
                "mediaType": "a/b", "digest": Digest::of(b""), "size": 0, "urls": ["u"],
                "annotations": {"k": "v"}, "artifactType": "a/t", "data": "e30=", "zebra": 1,
                "platform": {"architecture": "a", "os": "o", "os.version": "1", "variant": "v",
                    "os.features": ["f"]},
            }],
        });
        let digest = Digest::of(b"");
        let child = format!(
            r#"{{"mediaType":"a/b","size":0,"digest":"{digest}","data":"e30=","urls":["u"],"annotations":{{"k":"v"}},"platform":{{"architecture":"a","os":"o","os.version":"1","os.features":["f"],"variant":"v"}},"artifactType":"a/t","zebra":1}}"#
        );
        let index: Index = serde_json::from_value(document).unwrap();
        let written = text(&index);
        assert_eq!(
            written,
            format!(
                r#"{{"schemaVersion":2,"mediaType":"m/i","manifests":[{child}],"annotations":{{"k":"v"}},"artifactType":"a/t","zebra":1}}"#
            )
        );
        let empty = Descriptor::new(MediaType::OCI_EMPTY, digest, 0);
        let image = ImageManifest {
            subject: Some(empty.clone()),
            ..serde_json::from_value(serde_json::json!({
                "schemaVersion": 2, "config": empty, "artifactType": "a/t",
                "annotations": {"k": "v"}, "mediaType": "m/i",
            }))
            .unwrap()
        };
        let written: Vec<(usize, &str)> = {
            let text = text(&image);
            let keys = [
                "schemaVersion",
                "mediaType",
                "config",
                "layers",
                "annotations",
                "subject",
            ];
            let at = |key: &'static str| (text.find(&format!("\"{key}\":")).unwrap(), key);
            keys.into_iter().map(at).collect()
        };
        assert!(written.is_sorted(), "{written:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(value: String) {
            let read: Value = serde_json::from_str(&text(&value)).unwrap();
            prop_assert_eq!(read, Value::String(value));
        }
    }
}
