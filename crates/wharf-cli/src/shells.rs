//! The shells that words are completed in, and the scripts that let them ask.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine;
use clap_complete::env::{EnvCompleter, Fish, Powershell, Shells, Zsh};

/// Names the shell that asks for completions, in the environment of its question.
pub(crate) const VARIABLE: &str = "WHARF_COMPLETE";

/// The shells, by the names of [`Shell`].
pub(crate) const SHELLS: Shells<'static> = Shells(&[&Bash, &Zsh, &Fish, &Powershell]);

/// A shell that completions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    /// source <(wharf completion bash)
    Bash,
    /// source <(wharf completion zsh)
    Zsh,
    /// wharf completion fish | source
    Fish,
    /// wharf completion powershell | Out-String | Invoke-Expression
    Powershell,
}

/// The script that lets a shell ask `program`.
pub(crate) fn script(shell: Shell, program: &str) -> io::Result<String> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
    };
    let shell = SHELLS.completer(name).ok_or(io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "wharf", "wharf", program, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Bash splits words at colons, which references are full of.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        let quoted = completer.replace('\'', r"'\''");
        let text = BASH
            .replace("VARIABLE", variable)
            .replace("NAME", name)
            .replace("COMPLETER", &format!("'{quoted}'"))
            .replace("PROGRAM", program);
        script.write_all(text.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        // The word at the cursor is the last one that is sent.
        let index = words.len().saturating_sub(1);
        for candidate in engine::complete(command, words, index, here)? {
            writeln!(answer, "{}", candidate.get_value().to_string_lossy())?;
        }
        Ok(())
    }
}

/// Sends the words before the cursor as the line has them. Of an answer Readline replaces only what
/// follows the last of its word breaks.
const BASH: &str = r#"_NAME() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n'
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]}-1]} before="" at
    for at in : =; do
        if [[ $COMP_WORDBREAKS == *$at* && $current == *$at* ]]; then
            local part=${current%"${current##*$at}"}
            (( ${#part} > ${#before} )) && before=$part
        fi
    done
    IFS=$'\n'
    COMPREPLY=( $(VARIABLE=bash COMPLETER -- "${words[@]}" 2> /dev/null) )
    COMPREPLY=( "${COMPREPLY[@]#"$before"}" )
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -o bashdefault -F _NAME PROGRAM
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_asks_the_program() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Powershell] {
            let script = script(shell, "/opt/wharf's/wharf").unwrap();
            assert!(script.contains(VARIABLE), "{shell:?}");
            assert!(script.contains("/opt/wharf"), "{shell:?}");
        }
    }
}
