//! Flags with many values: lists, maps and variables, split at commas as other tools split them.

use std::error;
use std::fmt;
use std::str::FromStr;

/// A list: a line of CSV, so a part in double quotes keeps its commas. The flag may be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List(Vec<String>);

/// A map: `KEY=VALUE`, or several of them as a line of CSV. The flag may be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map(Vec<Pair>);

/// A key and its value; the value may be empty, and is never split at commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The text before the first `=`.
    pub(crate) key: String,
    /// The text after it.
    pub(crate) value: String,
}

/// A list as JSON: `["a","b"]`. It has parts that CSV cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonList(pub(crate) Vec<String>);

/// Why a value is none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotMany(String);

impl List {
    /// The parts of all values of a flag, in order.
    pub(crate) fn all(values: Vec<List>) -> Vec<String> {
        values.into_iter().flat_map(|List(parts)| parts).collect()
    }
}

impl Map {
    /// The pairs of all values of a flag, in order.
    pub(crate) fn all(values: Vec<Map>) -> Vec<Pair> {
        values.into_iter().flat_map(|Map(pairs)| pairs).collect()
    }
}

impl FromStr for List {
    type Err = NotMany;

    fn from_str(text: &str) -> Result<Self, NotMany> {
        split(text).map(List)
    }
}

impl FromStr for Map {
    type Err = NotMany;

    /// A single pair is not split: its value may have commas.
    fn from_str(text: &str) -> Result<Self, NotMany> {
        let parts = match text.matches('=').count() {
            0 | 1 => vec![text.trim_matches('"').to_owned()],
            _ => split(text)?,
        };
        let pairs = parts.iter().map(|part| {
            let pair: Pair = part.parse()?;
            match pair.value.as_str() {
                "" => Err(NotMany(format!("no value after {}=", pair.key))),
                _ => Ok(pair),
            }
        });
        pairs.collect::<Result<_, _>>().map(Map)
    }
}

impl FromStr for Pair {
    type Err = NotMany;

    fn from_str(text: &str) -> Result<Self, NotMany> {
        match text.split_once('=') {
            Some(("", _)) => Err(NotMany("no key before =".to_owned())),
            Some((key, value)) => Ok(Pair {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            None => Err(NotMany(format!("no = in {text:?}; write KEY=VALUE"))),
        }
    }
}

impl FromStr for JsonList {
    type Err = NotMany;

    fn from_str(text: &str) -> Result<Self, NotMany> {
        let parsed = serde_json::from_str(text);
        parsed.map(JsonList).map_err(|error| {
            NotMany(format!(
                "not a list of texts as JSON, like [\"a\",\"b\"]: {error}"
            ))
        })
    }
}

/// The parts of a line of CSV. No text has no parts.
fn split(text: &str) -> Result<Vec<String>, NotMany> {
    let mut parts = Vec::new();
    let mut rest = text;
    if rest.is_empty() {
        return Ok(parts);
    }
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                if part.contains('"') {
                    let message = format!("a part with quotes must be quoted: {part}");
                    return Err(NotMany(message));
                }
                (part.to_owned(), after)
            }
        };
        parts.push(part);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(parts),
            None => return Err(NotMany(format!("no comma after a quoted part: {after}"))),
        }
    }
}

/// A quoted part and what follows it. Two quotes stand for one.
fn unquote(mut rest: &str) -> Result<(String, &str), NotMany> {
    let mut part = String::new();
    loop {
        let Some((text, after)) = rest.split_once('"') else {
            return Err(NotMany("no quote at the end of a quoted part".to_owned()));
        };
        part.push_str(text);
        match after.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return Ok((part, after)),
        }
    }
}

impl fmt::Display for NotMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for NotMany {}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<String>, String> {
        let list: Result<List, _> = text.parse();
        list.map(|list| List::all(vec![list]))
            .map_err(|error| error.to_string())
    }

    fn map(text: &str) -> Result<Vec<(String, String)>, String> {
        let map: Result<Map, _> = text.parse();
        let map = map.map_err(|error| error.to_string())?;
        let pairs = Map::all(vec![map]).into_iter();
        Ok(pairs.map(|pair| (pair.key, pair.value)).collect())
    }

    #[test]
    fn lists_are_split_at_commas_as_csv() {
        for (text, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a,b c,", vec!["a", "b c", ""]),
            (r#""a,b",c"#, vec!["a,b", "c"]),
            (r#"x,"say ""hi""""#, vec!["x", r#"say "hi""#]),
            (r#""""#, vec![""]),
        ] {
            assert_eq!(list(text).unwrap(), expected, "{text}");
        }
        assert!(list(r#"a"b"#).unwrap_err().contains("must be quoted"));
        assert!(list(r#""a"#).unwrap_err().contains("no quote at the end"));
        assert!(list(r#""a"b"#).unwrap_err().contains("no comma after"));
    }

    #[test]
    fn maps_split_where_there_are_several_pairs() {
        let pairs = |expected: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = expected.iter();
            owned
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        assert_eq!(map("k=v").unwrap(), pairs(&[("k", "v")]));
        assert_eq!(
            map("k=v,k2=v2").unwrap(),
            pairs(&[("k", "v"), ("k2", "v2")])
        );
        assert_eq!(map("k=a,b").unwrap(), pairs(&[("k", "a,b")]));
        assert_eq!(
            map(r#""k=a=b,c",x=y"#).unwrap(),
            pairs(&[("k", "a=b,c"), ("x", "y")])
        );
        for (text, message) in [
            ("k", "no ="),
            ("k=", "no value"),
            ("a=b,c=d,e", "no ="),
            ("=v", "no key"),
        ] {
            assert!(map(text).unwrap_err().contains(message), "{text}");
        }
    }

    #[test]
    fn variables_are_never_split_and_may_be_empty() {
        let pair: Pair = "A=b,c=d".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("A", "b,c=d"));
        assert_eq!("A=".parse::<Pair>().unwrap().value, "");
        assert!("A".parse::<Pair>().is_err());
    }

    #[test]
    fn a_list_as_json_has_any_text() {
        let JsonList(parts) = r#"["sh","-c","a,b \"c\""]"#.parse().unwrap();
        assert_eq!(parts, ["sh", "-c", "a,b \"c\""]);
        assert!("sh".parse::<JsonList>().is_err());
    }
}
