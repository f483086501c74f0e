//! Edits a file of credentials: adds or removes one entry, and keeps everything else byte by byte.

use std::fmt::{self, Write};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::document::without_mark;
use super::key::normal;

/// The document in `bytes` with `entry`, a JSON text, under `written` in its `auths`, replacing all
/// equivalent entries. Without an entry it only removes them; `None` if there are none.
///
/// # Errors
/// If `bytes` or `auths` is not a JSON object.
pub(super) fn with_entry(
    bytes: &[u8],
    written: &str,
    entry: Option<&str>,
) -> serde_json::Result<Option<Zeroizing<String>>> {
    let bytes = without_mark(bytes);
    let blank = bytes.iter().all(u8::is_ascii_whitespace);
    let bytes = if blank { b"{}" } else { bytes };
    let mut document: RawObject = serde_json::from_slice(bytes)?;
    if entry.is_some() && !document.0.iter().any(|(name, _)| name == AUTHS) {
        document.0.push((AUTHS.to_owned(), raw("{}")?));
    }
    let key = normal(written);
    let mut entry = entry;
    let mut changed = false;
    // If `auths` occurs several times, all count; a new entry goes into the last.
    for (_, value) in document
        .0
        .iter_mut()
        .rev()
        .filter(|(name, _)| name == AUTHS)
    {
        let mut auths: RawObject = match value.get() {
            "null" => RawObject::default(),
            text => serde_json::from_str(text)?,
        };
        let before = auths.0.len();
        auths.0.retain(|(written, _)| normal(written) != key);
        let mut touched = auths.0.len() != before;
        if let Some(entry) = entry.take() {
            auths.0.push((written.to_owned(), raw(entry)?));
            touched = true;
        }
        if touched {
            *value = raw(&Zeroizing::new(auths.text(2)))?;
            changed = true;
        }
    }
    Ok(changed.then(|| Zeroizing::new(document.text(1) + "\n")))
}

fn raw(text: &str) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(text.to_owned())
}

const AUTHS: &str = "auths";

/// The fields of a JSON object in their order, with values as written.
#[derive(Default)]
struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    /// One field per line, indented with `depth` tabs, as Docker writes it.
    fn text(&self, depth: usize) -> String {
        let (inner, outer) = ("\t".repeat(depth), "\t".repeat(depth.saturating_sub(1)));
        let mut text = String::from("{");
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let key = serde_json::Value::from(key.as_str());
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}\n{inner}{key}: {}", value.get());
        }
        let end = if self.0.is_empty() {
            "}".to_owned()
        } else {
            format!("\n{outer}}}")
        };
        text + &end
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(RawObject(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edited(document: &str, written: &str, entry: Option<&str>) -> String {
        with_entry(document.as_bytes(), written, entry)
            .unwrap()
            .unwrap()
            .to_string()
    }

    #[test]
    fn an_entry_goes_wherever_it_stands_and_nothing_changes_for_one_that_does_not() {
        let document = r#"{"auths":{"r":{}},"x":1,"auths":{"r":{},"s":{}}}"#;
        assert_eq!(
            edited(document, "r", None),
            "{\n\t\"auths\": {},\n\t\"x\": 1,\n\t\"auths\": {\n\t\t\"s\": {}\n\t}\n}\n"
        );
        assert_eq!(
            edited(document, "r", Some("[]")),
            "{\n\t\"auths\": {},\n\t\"x\": 1,\n\t\"auths\": {\n\t\t\"s\": {},\n\t\t\"r\": []\n\t}\n}\n"
        );
        for document in ["", "\u{feff}{}", r#"{"auths":null}"#, document] {
            let none = with_entry(document.as_bytes(), "other", None).unwrap();
            assert!(none.is_none(), "{document}");
        }
    }

    #[test]
    fn rule_10_unknown_fields_stay_as_they_are() {
        let document = "{\n\t\"z\": 1.000000000000000000001,\n\t\"auths\": {\n\t\t\"https://r.example/v1/\": {\"auth\": \"eA==\"},\n\t\t\"a\": {\"new\":  [1]}\n\t},\n\t\"psFormat\": \"\\u0041\"\n}\n";
        let expected = document.replace(
            "https://r.example/v1/\": {\"auth\": \"eA==\"},\n\t\t\"a\": {\"new\":  [1]}",
            "a\": {\"new\":  [1]},\n\t\t\"r.example\": {\"auth\":\"eQ==\"}",
        );
        assert_eq!(
            edited(document, "r.example", Some(r#"{"auth":"eQ=="}"#)),
            expected
        );
    }

    #[test]
    fn a_file_begins_with_nothing_and_ends_with_nothing() {
        let one = edited("", "r", Some("{}"));
        assert_eq!(one, "{\n\t\"auths\": {\n\t\t\"r\": {}\n\t}\n}\n");
        assert_eq!(
            edited(&one, "https://r/v1/", None),
            "{\n\t\"auths\": {}\n}\n"
        );
        assert_eq!(edited(r#"{"auths":null}"#, "r", Some("{}")), one);
        for wrong in ["[]", "{", r#"{"auths":[]}"#] {
            assert!(with_entry(wrong.as_bytes(), "r", None).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_is_found_and_the_rest_is_the_same(
            keys in proptest::collection::btree_set("[a-z]{1,3}", 0..5),
            key in "[a-z]{1,3}",
        ) {
            let fields: Vec<String> = keys.iter().map(|key| format!("{key:?}:{{}}")).collect();
            let document = format!(r#"{{"auths":{{{}}},"x":[]}}"#, fields.join(","));
            let text = edited(&document, &key, Some(r#"{"auth":"1"}"#));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&value["auths"][&key]["auth"], "1");
            for other in keys.iter().filter(|other| **other != key) {
                prop_assert_eq!(&value["auths"][other], &serde_json::json!({}));
            }
            prop_assert_eq!(&value["x"], &serde_json::json!([]));
        }
    }
}
