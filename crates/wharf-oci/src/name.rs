//! Repository names and tags: always valid, since only valid text becomes one.

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
    /// The tag `latest`, which stands where none was given.
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
    // Where the run of separators began that the walk is in; a component starts as if in one.
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

/// Text that is not a tag or not the name of a repository.
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
    #[error("character {character:?} at position {position} cannot stand at the start or the end")]
    Edge { character: char, position: usize },
    #[error(
        "separator {separator:?} is not allowed at position {position} ('.', '_', '__' or dashes)"
    )]
    Separator { separator: String, position: usize },
}
