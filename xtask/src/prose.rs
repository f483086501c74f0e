//! What people read in a Rust file: comments and string literals.

/// Text, and the line where it starts; it keeps its line breaks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block comment, or all line comments that follow each other; without their signs.
    Comment,
    /// A string without its quotes; escapes are blanks.
    Literal,
}

/// The pieces of `source` in their order. Source that does not compile gives some pieces too.
pub(crate) fn pieces(source: &str) -> Vec<Piece> {
    let mut reader = Reader {
        rest: source,
        line: 1,
    };
    let mut pieces: Vec<Piece> = Vec::new();
    while let Some(first) = reader.rest.chars().next() {
        let line = reader.line;
        let (kind, text) = if reader.rest.starts_with("//") {
            (Kind::Comment, reader.line_comments())
        } else if reader.rest.starts_with("/*") {
            (Kind::Comment, reader.block_comment())
        } else if first == '"' {
            (Kind::Literal, reader.string())
        } else if first == '\'' {
            reader.quote();
            continue;
        } else if let Some(word) = reader.word() {
            match reader.hashes() {
                Some(hashes) if ["r", "br", "cr"].contains(&word) => {
                    (Kind::Literal, reader.raw_string(hashes))
                }
                _ => continue,
            }
        } else {
            reader.take(first.len_utf8());
            continue;
        };
        pieces.push(Piece { kind, line, text });
    }
    pieces
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// Takes up to `end` and `end` itself, or all that is left; gives what stands before `end`.
    fn take_until(&mut self, end: &str) -> &'a str {
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let taken = self.take(length);
        self.take(end.len());
        taken
    }

    /// This line comment, and those on the lines that follow at once.
    fn line_comments(&mut self) -> String {
        let mut text = String::new();
        while self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            let comment = self.take(length).trim_start_matches('/');
            text.push_str(comment.strip_prefix('!').unwrap_or(comment));
            let blanks = self.rest.len() - self.rest.trim_start().len();
            let between = self.rest.get(..blanks).unwrap_or_default();
            if between.matches('\n').count() != 1 || !self.rest.trim_start().starts_with("//") {
                break;
            }
            text.push_str(self.take(blanks));
        }
        text
    }

    fn block_comment(&mut self) -> String {
        let whole = self.rest;
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else {
                let Some(next) = self.rest.chars().next() else {
                    break;
                };
                self.take(next.len_utf8());
            }
            if depth == 0 {
                break;
            }
        }
        let length = whole.len() - self.rest.len();
        let text = whole.get(..length).unwrap_or_default();
        let text = text.strip_prefix("/*").unwrap_or(text);
        text.strip_suffix("*/").unwrap_or(text).to_owned()
    }

    fn string(&mut self) -> String {
        self.take(1);
        let mut text = String::new();
        while let Some(next) = self.rest.chars().next() {
            self.take(next.len_utf8());
            match next {
                '"' => break,
                '\\' => {
                    let escaped = self.rest.chars().next().unwrap_or(' ');
                    self.take(escaped.len_utf8());
                    text.push(if escaped == '\n' { '\n' } else { ' ' });
                }
                other => text.push(other),
            }
        }
        text
    }

    /// How many `#` stand before a quote here; none where no quote follows.
    fn hashes(&self) -> Option<usize> {
        let after = self.rest.trim_start_matches('#');
        let hashes = self.rest.len() - after.len();
        after.starts_with('"').then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) -> String {
        self.take(hashes + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        self.take_until(&end).to_owned()
    }

    /// A character, or the sign of a lifetime.
    fn quote(&mut self) {
        self.take(1);
        let mut next = self.rest.chars();
        let (first, second) = (next.next(), next.next());
        if first == Some('\\') {
            // The quote that ends it is not the one that is escaped.
            self.take(2);
            self.take_until("'");
        } else if second == Some('\'') {
            self.take_until("'");
        }
    }

    /// A name, a keyword or a number, where one is here.
    fn word(&mut self) -> Option<&'a str> {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
        (length > 0).then(|| self.take(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(usize, String)> {
        let pieces = pieces(source).into_iter();
        pieces.map(|piece| (piece.line, piece.text)).collect()
    }

    #[test]
    fn comments_that_follow_each_other_are_one_piece() {
        let source =
            "//! One\n//! two.\n\n/// Three\nfn f() {} // four\n    // five\n/* six /* 7 */\n*/";
        let expected = [
            (1, " One\n two."),
            (4, " Three"),
            (5, " four\n     five"),
            (7, " six /* 7 */\n"),
        ];
        assert_eq!(
            texts(source),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
    }

    #[test]
    fn literals_are_read_and_characters_are_none() {
        let source = r##"let a = "x\"y\n\\"; let b = ['"', '\'', '\\']; fn c<'a>(d: &'a str) {}
            let e = r#"raw "quoted" // no comment"#; let f = b"bytes"; let r#type = br"\"; g("z")"##;
        let expected = [
            (1, "x y  "),
            (2, "raw \"quoted\" // no comment"),
            (2, "bytes"),
            (2, "\\"),
            (2, "z"),
        ];
        assert_eq!(
            texts(source),
            expected.map(|(line, text)| (line, text.to_owned()))
        );
    }

    #[test]
    fn a_slash_in_a_literal_starts_no_comment() {
        assert_eq!(pieces("f(\"http://a\")")[0].kind, Kind::Literal);
        assert_eq!(pieces("f(\"http://a\")").len(), 1);
    }

    #[test]
    fn what_never_ends_is_read_to_the_end() {
        for source in ["\"a", "r#\"a\"", "/* a", "'", "// a", "'\\"] {
            pieces(source);
        }
    }
}
