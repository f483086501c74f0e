//! Completes words for shells: from the definition of the command line, and from what is remembered
//! of registries. It asks no network.

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use wharf::memory::RegistryMemory;
use wharf_oci::Repository;

use crate::cli::CommandLine;
use crate::env::cache_directory;
use crate::shells::{SHELLS, VARIABLE};

/// Answers the question of a shell, if this process was started for that.
pub(crate) fn answered() -> Option<ExitCode> {
    let completing = CompleteEnv::with_factory(definition)
        .var(VARIABLE)
        .shells(SHELLS);
    let here = env::current_dir().ok();
    match completing.try_complete(env::args_os(), here.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        // A shell shows no errors while it completes.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The command line, with what completes its values.
fn definition() -> Command {
    completed(CommandLine::command())
}

fn completed(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let names = argument.get_value_names().unwrap_or_default();
        let name = names.first().map(ToString::to_string);
        let name = name.unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
        match Value::of(&name) {
            Some(value) => argument.add(ArgValueCompleter::new(value)),
            None => argument,
        }
    });
    command.mut_subcommands(completed)
}

/// What a value may be, by its name in help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Image,
    Repository,
    Registry,
    /// An image anywhere.
    Place,
    Path,
}

impl Value {
    fn of(name: &str) -> Option<Value> {
        Some(match name {
            "REF" | "BASE" => Value::Image,
            "IMAGE" | "INDEX" | "SRC" | "DST" | "PLACE" => Value::Place,
            "REPO" => Value::Repository,
            "HOST" | "REG" | "REGISTRY" => Value::Registry,
            "PATH" | "FILE" | "TAR" | "DIR" => Value::Path,
            _ => return None,
        })
    }
}

impl ValueCompleter for Value {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let paths = || PathCompleter::any().complete(current);
        let Some(typed) = current.to_str() else {
            return paths();
        };
        let memory = cache_directory().map(|cache| RegistryMemory::open(&cache.join("registries")));
        let known = memory.map(|memory| memory.known()).unwrap_or_default();
        let mut found: Vec<String> = known
            .iter()
            .flat_map(|(repository, tags)| match self {
                Value::Path => Vec::new(),
                Value::Registry => vec![repository.registry().to_string()],
                Value::Repository => vec![repository.to_string()],
                Value::Image | Value::Place => images(repository, tags, typed),
            })
            .filter(|text| text.starts_with(typed))
            .collect();
        found.sort();
        found.dedup();
        let mut candidates: Vec<_> = found.into_iter().map(CompletionCandidate::new).collect();
        if matches!(self, Value::Place | Value::Path) {
            candidates.extend(paths());
        }
        candidates
    }
}

/// A repository, or its tags once its name was typed.
fn images(repository: &Repository, tags: &[wharf_oci::Tag], typed: &str) -> Vec<String> {
    let name = repository.to_string();
    match typed.strip_prefix(name.as_str()) {
        Some(rest) if rest.starts_with(':') => {
            let tags = tags.iter();
            tags.map(|tag| format!("{name}:{tag}")).collect()
        }
        _ => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_completed_by_its_repository_and_then_by_its_tags() {
        let app: Repository = "localhost:5000/team/app".parse().unwrap();
        let tags = ["1.0", "latest"].map(|tag| tag.parse().unwrap());
        let name = "localhost:5000/team/app";
        for typed in ["", "local", "localhost:50", name] {
            assert_eq!(images(&app, &tags, typed), [name], "{typed}");
        }
        let both = [format!("{name}:1.0"), format!("{name}:latest")];
        for typed in [":", ":1"] {
            assert_eq!(images(&app, &tags, &format!("{name}{typed}")), both);
        }
    }
}
