//! Repository names and tags. Only valid text becomes one.

use std::fmt;
use std::str::FromStr;

use crate::text::Quoted;

/// The name of a repository within its registry, `library/nginx`.
///
/// distribution-spec: "Pulling manifests", `<name>`; at most 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The text of this name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<RepositoryName, NameError> {
        check_name(text).map_err(|problem| NameError {
            part: "repository",
            text: text.to_owned(),
            problem,
        })?;
        Ok(RepositoryName(text.to_owned()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for RepositoryName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A mutable name within a repository, `latest`.
///
/// distribution-spec: "Pulling manifests", `<reference>` as a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The tag `latest`, the default.
    pub fn latest() -> Tag {
        Tag("latest".to_owned())
    }

    /// The text of this tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Tag, NameError> {
        check_tag(text).map_err(|problem| NameError {
            part: "tag",
            text: text.to_owned(),
            problem,
        })?;
        Ok(Tag(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Components of `[a-z0-9]+`, with `.`, `_`, `__` or any number of `-` within, between slashes.
fn check_name(text: &str) -> Result<(), NameProblem> {
    if text.is_empty() {
        return Err(NameProblem::Empty);
    }
    let mut position = 1;
    for component in text.split('/') {
        check_component(component, position)?;
        position += component.chars().count() + 1;
    }
    too_long(text, NAME_LIMIT)
}

fn check_component(component: &str, start: usize) -> Result<(), NameProblem> {
    if component.is_empty() {
        return Err(NameProblem::EmptyComponent { position: start });
    }
    // Start of the current run of separators. A component starts as if inside one.
    let mut run: Option<usize> = Some(0);
    for (index, character) in component.char_indices() {
        match character {
            'a'..='z' | '0'..='9' => {
                let separator = run
                    .take()
                    .and_then(|from| component.get(from..index))
                    .unwrap_or("");
                if !is_separator(separator) {
                    return Err(NameProblem::Separator {
                        separator: separator.to_owned(),
                        position: start + index - separator.len(),
                    });
                }
            }
            '.' | '_' | '-' if index == 0 => {
                return Err(NameProblem::Edge {
                    character,
                    position: start,
                });
            }
            '.' | '_' | '-' => run = run.or(Some(index)),
            'A'..='Z' => {
                return Err(NameProblem::UpperCase {
                    character,
                    position: start + index,
                });
            }
            _ => {
                return Err(NameProblem::Character {
                    character,
                    position: start + index,
                    allowed: NAME_ALPHABET,
                });
            }
        }
    }
    match component.chars().next_back().filter(|_| run.is_some()) {
        Some(character) => Err(NameProblem::Edge {
            character,
            position: start + component.len() - 1,
        }),
        None => Ok(()),
    }
}

fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.chars().all(|character| character == '-')
}

fn check_tag(text: &str) -> Result<(), NameProblem> {
    if text.is_empty() {
        return Err(NameProblem::Empty);
    }
    for (index, character) in text.chars().enumerate() {
        let word = character.is_ascii_alphanumeric() || character == '_';
        if !word && !matches!(character, '.' | '-') {
            return Err(NameProblem::Character {
                character,
                position: index + 1,
                allowed: TAG_ALPHABET,
            });
        }
        if !word && index == 0 {
            return Err(NameProblem::Edge {
                character,
                position: 1,
            });
        }
    }
    too_long(text, TAG_LIMIT)
}

fn too_long(text: &str, limit: usize) -> Result<(), NameProblem> {
    if text.len() > limit {
        return Err(NameProblem::Long {
            length: text.len(),
            limit,
        });
    }
    Ok(())
}

/// The most characters of registry, slash and name together. distribution-spec: "Pulling manifests".
pub(crate) const NAME_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;
const NAME_ALPHABET: &str = "a-z, 0-9, '.', '_', '-', '/'";
const TAG_ALPHABET: &str = "letters, digits, '_', '.', '-'";

/// The error of text that is not a tag, or not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} {}: {problem}", Quoted(text))]
pub struct NameError {
    part: &'static str,
    text: String,
    problem: NameProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NameProblem {
    #[error("it is empty")]
    Empty,
    #[error("a part between slashes is empty at position {position}")]
    EmptyComponent { position: usize },
    #[error("{length} characters, at most {limit} are allowed")]
    Long { length: usize, limit: usize },
    #[error("character {character:?} is not allowed at position {position} (names are lower case)")]
    UpperCase { character: char, position: usize },
    #[error("character {character:?} is not allowed at position {position} ({allowed})")]
    Character {
        character: char,
        position: usize,
        allowed: &'static str,
    },
    #[error(
        "character {character:?} at position {position} is not allowed at the start or the end"
    )]
    Edge { character: char, position: usize },
    #[error(
        "separator {separator:?} is not allowed at position {position} ('.', '_', '__' or dashes)"
    )]
    Separator { separator: String, position: usize },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name_error(text: &str) -> String {
        text.parse::<RepositoryName>().unwrap_err().to_string()
    }

    fn tag_error(text: &str) -> String {
        text.parse::<Tag>().unwrap_err().to_string()
    }

    #[test]
    fn names_of_the_grammar_are_taken() {
        for name in ["a", "library/nginx", "a.b/c_d/e__f/g---h", "0/1/2", "a-b.c"] {
            assert_eq!(name.parse::<RepositoryName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn name_errors_name_character_and_position() {
        assert_eq!(
            name_error("library/Nginx"),
            r#"repository "library/Nginx": character 'N' is not allowed at position 9 (names are lower case)"#
        );
        assert!(name_error("a b").contains("' ' is not allowed at position 2 (a-z"));
        assert!(name_error("a/é").contains("'é' is not allowed at position 3"));
        assert!(name_error("").contains("it is empty"));
        assert!(name_error("a//b").contains("empty at position 3"));
        assert!(name_error("/a").contains("empty at position 1"));
        assert!(name_error("a/").contains("empty at position 3"));
        assert!(
            name_error("a/-b").contains("'-' at position 3 is not allowed at the start or the end")
        );
        assert!(
            name_error("a/b.").contains("'.' at position 4 is not allowed at the start or the end")
        );
        assert!(name_error("x/a..b").contains(r#"separator ".." is not allowed at position 4"#));
        assert!(name_error("a___b").contains(r#"separator "___""#));
        assert!(name_error("a._b").contains(r#"separator "._""#));
        assert!(name_error("..").contains("'.' at position 1"));
    }

    #[test]
    fn names_have_at_most_255_characters() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert!(name_error(&"a".repeat(256)).contains("256 characters, at most 255 are allowed"));
    }

    #[test]
    fn tags_of_the_grammar_are_taken() {
        for tag in ["latest", "_", "V1.0-rc.1", "1__2..3--"] {
            assert_eq!(tag.parse::<Tag>().unwrap().to_string(), tag);
        }
        assert_eq!(Tag::latest(), "latest".parse().unwrap());
        assert!("a".repeat(128).parse::<Tag>().is_ok());
    }

    #[test]
    fn tag_errors_name_character_and_position() {
        assert_eq!(
            tag_error("tag!"),
            r#"tag "tag!": character '!' is not allowed at position 4 (letters, digits, '_', '.', '-')"#
        );
        assert!(tag_error("").contains("it is empty"));
        assert!(tag_error(".a").contains("'.' at position 1 is not allowed"));
        assert!(tag_error("-a").contains("'-' at position 1 is not allowed"));
        assert!(tag_error(&"a".repeat(129)).contains("129 characters, at most 128 are allowed"));
    }

    proptest! {
        #[test]
        fn generated_names_are_taken(name in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,3}){0,3}") {
            prop_assert_eq!(name.parse::<RepositoryName>().unwrap().to_string(), name);
        }

        #[test]
        fn a_taken_name_has_no_path_tricks(text in "[a-z0-9._/-]{0,12}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                for component in name.as_str().split('/') {
                    prop_assert!(component.starts_with(|c: char| c.is_ascii_alphanumeric()));
                    prop_assert!(component.ends_with(|c: char| c.is_ascii_alphanumeric()));
                    prop_assert!(!component.contains("..") && !component.contains("___"));
                }
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused_in_one_line(text: String) {
            if let Err(error) = text.parse::<RepositoryName>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
            if let Err(error) = text.parse::<Tag>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}
