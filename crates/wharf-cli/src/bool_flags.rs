//! `--flag=true` and `--flag=false`, which scripts write, in the form that the parser knows: the flag,
//! or its absence.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

/// The words of a command line with each switch that has a value written plainly. As with all flags,
/// the last one counts. A value that is neither true nor false stays, as an error of the parser.
pub(crate) fn plain(command: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let has_value =
        |word: &OsString| bytes(word).first() == Some(&b'-') && bytes(word).contains(&b'=');
    if !words.iter().any(has_value) {
        return words;
    }
    let mut reading = Reading {
        command,
        written: Vec::new(),
    };
    let mut words = words.into_iter();
    // The name of the program.
    reading.written.extend(words.next().map(Word::plain));
    while let Some(word) = words.next() {
        if word == "--" {
            reading.written.push(Word::plain(word));
            break;
        }
        if reading.take(word) == Next::Value {
            reading.written.extend(words.next().map(Word::plain));
        }
    }
    reading.written.extend(words.map(Word::plain));
    reading.written.into_iter().map(|word| word.text).collect()
}

struct Reading<'a> {
    /// The command that was named so far.
    command: &'a Command,
    written: Vec<Word>,
}

struct Word {
    text: OsString,
    /// The switch that this is, if it is one.
    switch: Option<String>,
}

/// What the next word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Any,
    /// The value of the flag before it.
    Value,
}

impl Word {
    fn plain(text: OsString) -> Self {
        Word { text, switch: None }
    }
}

impl Reading<'_> {
    fn take(&mut self, word: OsString) -> Next {
        let Some(text) = word.to_str() else {
            self.written.push(Word::plain(word));
            return Next::Any;
        };
        let found = match (text.strip_prefix("--"), text.strip_prefix('-')) {
            (Some(long), _) => self.long(long),
            (None, Some(short)) if !short.is_empty() => self.short(short),
            _ => {
                self.command = self.command.find_subcommand(text).unwrap_or(self.command);
                None
            }
        };
        let Some((flag, value)) = found else {
            self.written.push(Word::plain(word));
            return Next::Any;
        };
        if !is_switch(flag) {
            let next = match value {
                Some(_) => Next::Any,
                None => Next::Value,
            };
            self.written.push(Word::plain(word));
            return next;
        }
        let name = flag.get_id().as_str().to_owned();
        let typed = match value.map(truth) {
            Some(Some(true)) => text.split('=').next().map(OsString::from),
            Some(Some(false)) => {
                let same = |word: &Word| word.switch.as_ref() == Some(&name);
                self.written.retain(|word| !same(word));
                return Next::Any;
            }
            Some(None) | None => None,
        };
        self.written.push(Word {
            text: typed.unwrap_or(word),
            switch: Some(name),
        });
        Next::Any
    }

    /// The flag that `text` names, and the value after the equals sign.
    fn long<'t>(&self, text: &'t str) -> Option<(&Arg, Option<&'t str>)> {
        let (name, value) = split(text);
        let named = |flag: &&Arg| {
            let aliases = flag.get_all_aliases().unwrap_or_default();
            flag.get_long() == Some(name) || aliases.contains(&name)
        };
        Some((self.command.get_arguments().find(named)?, value))
    }

    /// The last flag of several letters, or the first that takes the rest as its value.
    fn short<'t>(&self, text: &'t str) -> Option<(&Arg, Option<&'t str>)> {
        let (letters, value) = split(text);
        let mut last = None;
        for (at, letter) in letters.char_indices() {
            let named = |flag: &&Arg| flag.get_short() == Some(letter);
            let flag = self.command.get_arguments().find(named)?;
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            last = Some((flag, value));
            if !is_switch(flag) && !rest.is_empty() {
                return Some((flag, Some(rest)));
            }
        }
        // Only of a letter by itself is it clear which one is meant.
        last.filter(|(flag, _)| letters.chars().count() == 1 || !is_switch(flag))
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    }
}

fn is_switch(flag: &Arg) -> bool {
    !matches!(flag.get_action(), ArgAction::Set | ArgAction::Append)
}

/// A value as Go's flags read it.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn bytes(word: &OsStr) -> &[u8] {
    word.as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::CommandLine;

    fn plainly(line: &str) -> String {
        let mut command = CommandLine::command();
        command.build();
        let words = line.split(' ').map(OsString::from).collect();
        let words = plain(&command, words);
        let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn a_switch_with_a_value_is_there_or_not_and_the_last_counts() {
        for (typed, expected) in [
            ("wharf push --index=true a", "wharf push --index a"),
            ("wharf push --index=false a", "wharf push a"),
            ("wharf push --index=F --index=1 a", "wharf push --index a"),
            ("wharf push --index a --index=false", "wharf push a"),
            ("wharf --insecure=t push a --insecure=0", "wharf push a"),
            ("wharf push -q=false -q=true a", "wharf push -q a"),
            ("wharf push -v -v=false a", "wharf push a"),
        ] {
            assert_eq!(plainly(typed), expected, "{typed}");
        }
    }

    #[test]
    fn all_else_stays_as_it_is_typed() {
        for line in [
            "wharf push --index=maybe a",
            "wharf push --jobs=4 -j=4 -j4 a",
            "wharf push --image-refs --index=false a",
            "wharf push -- --index=false",
            "wharf push a=b --unknown=false",
            "wharf tag --index=false a",
            "wharf auth token -Hm=r.example/a r.example/b",
            "wharf copy -j --force=false a b",
            "wharf",
        ] {
            assert_eq!(plainly(line), line);
        }
    }
}
