//! `wharf push --all PATH [REGISTRY[/PREFIX]]…`: every image under its own names.

use std::fs;
use std::sync::Arc;

use wharf::front::Receiver;
use wharf::place::{Everything, LocalPlace, OpenedStore};
use wharf::store::Memory;
use wharf::{Copied, Error, ErrorKind, Result, Wharf};
use wharf_oci::{Reference, Registry, Repository, RepositoryName, Tag};

use crate::context::Context;
use crate::flags::Effect;
use crate::progress::{Company, Progress};
use crate::{dry_run, embedded, env, failures};

/// Where images go: a registry, and what stands before their own names there.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    registry: Registry,
    prefix: Option<RepositoryName>,
    /// Its name in output, where that is not the registry's.
    shown: Option<&'static str>,
}

/// A repository to push to, with its name in output.
struct Target {
    store: OpenedStore,
    /// Where its images are in `Everything`.
    place: usize,
}

/// Pushes all images at `place` to each of `to`, or to the embedded registry if there is none.
/// Prints and returns each pushed reference with its digest.
///
/// # Errors
/// If the place cannot be read; the last error of several repositories, others are printed.
pub(crate) async fn push(
    wharf: &Wharf,
    place: &LocalPlace,
    to: &[Reference],
    effect: Effect,
    context: &Context,
) -> Result<Vec<String>> {
    let bases: Vec<Base> = to.iter().map(Base::of).collect::<Result<_>>()?;
    let all = wharf.open_everything(place).await?;
    if !bases.is_empty() {
        let targets = bases.iter().map(|base| targets(wharf, &all, base));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        return run(
            wharf,
            &all,
            targets.into_iter().flatten().collect(),
            effect,
            context,
        )
        .await;
    }
    let directory = env::registry_directory()?;
    let unused = fs::read_dir(&directory).map_or(true, |mut files| files.next().is_none());
    if unused && effect == Effect::None {
        // A plan makes no registry.
        let nothing = all
            .repositories
            .iter()
            .enumerate()
            .map(|(place, (name, _))| {
                let name = format!("{}/{name}", embedded::SERVED);
                let store = OpenedStore::new(Arc::new(Memory::new()), name, Vec::new());
                Target { store, place }
            });
        return run(wharf, &all, nothing.collect(), effect, context).await;
    }
    let (address, running) = embedded::start(&directory).await?;
    context.keep_running(running);
    let base = Base {
        registry: embedded::registry(address),
        prefix: None,
        shown: Some(embedded::SERVED),
    };
    run(wharf, &all, targets(wharf, &all, &base)?, effect, context).await
}

fn targets(wharf: &Wharf, all: &Everything, base: &Base) -> Result<Vec<Target>> {
    let names = all.repositories.iter().enumerate();
    let target = |(place, (name, _)): (usize, &(RepositoryName, _))| {
        let repository = base.repository(name)?;
        let mut store = OpenedStore::in_registry(&repository, wharf.client());
        if let Some(shown) = base.shown {
            store.name = format!("{shown}/{}", repository.name());
        }
        Ok(Target { store, place })
    };
    names.map(target).collect()
}

/// Copies to all repositories of one registry after another, so that each image is read once.
async fn run(
    wharf: &Wharf,
    all: &Everything,
    targets: Vec<Target>,
    effect: Effect,
    context: &Context,
) -> Result<Vec<String>> {
    let printer = &context.printer;
    let company = Company::of(targets.len());
    if effect == Effect::None {
        for Target { store, place } in &targets {
            let survey = wharf.plan_everything(all, *place, store).await?;
            dry_run::print(printer, &store.name, company, &survey)?;
        }
        return Ok(Vec::new());
    }
    let (mut pushed, mut failed) = (Vec::new(), Vec::new());
    for targets in targets.chunks(all.repositories.len().max(1)) {
        let shown = targets.iter();
        let shown = shown.map(|target| Progress::new(printer, &target.store.name, company));
        let shown: Vec<Progress> = shown.collect();
        let receivers = targets
            .iter()
            .zip(&shown)
            .map(|(target, progress)| Receiver {
                store: &target.store,
                observer: context
                    .standing
                    .watch(&target.store.name, progress.observer()),
            });
        let receivers: Vec<Receiver<'_>> = receivers.collect();
        let outcomes = wharf.write_everything(all, &receivers).await;
        for ((target, progress), outcome) in targets.iter().zip(&shown).zip(outcomes) {
            match outcome {
                Ok(copied) => {
                    let roots = all.repositories.get(target.place).map(|(_, roots)| roots);
                    let tags = roots.into_iter().flatten().flat_map(|root| &root.tags);
                    let tags: Vec<Tag> = tags.cloned().collect();
                    progress.finish(&tags, &copied);
                    pushed.extend(references(all, target, &copied));
                }
                Err(error) => failed.push(error),
            }
        }
    }
    for line in &pushed {
        printer.data(line)?;
    }
    failures::all(printer, failed)?;
    Ok(pushed)
}

/// What was pushed to a repository: each tag with the digest that it names.
fn references(all: &Everything, target: &Target, copied: &Copied) -> Vec<String> {
    let name = &target.store.name;
    let roots = all.repositories.get(target.place).map(|(_, roots)| roots);
    let roots = roots.into_iter().flatten().zip(&copied.summary.roots);
    let lines = roots.flat_map(|(root, put)| {
        let digest = &put.digest;
        let tags = root.tags.iter().map(|tag| format!("{name}:{tag}@{digest}"));
        let mut lines: Vec<String> = tags.collect();
        if lines.is_empty() {
            lines.push(format!("{name}@{digest}"));
        }
        lines
    });
    lines.collect()
}

impl Base {
    /// `REGISTRY[/PREFIX]`, which was parsed as if it were an image.
    fn of(reference: &Reference) -> Result<Self> {
        let repository = reference.repository();
        let short = repository.name().as_str().strip_prefix("library/");
        // A registry alone looks like the name of an image, and its port like a tag.
        let alone = short
            .filter(|_| repository.registry().is_docker_hub())
            .map(|short| {
                let port = reference.tag().map(|port| format!(":{port}"));
                format!("{short}{}", port.unwrap_or_default())
            });
        let alone = alone.filter(|text| text.contains(['.', ':']) || text == "localhost");
        if let Some(registry) = alone.and_then(|text| text.parse().ok()) {
            return Ok(Base {
                registry,
                prefix: None,
                shown: None,
            });
        }
        if reference.tag().is_some() || reference.digest().is_some() {
            let message = "with --all, REF is REGISTRY or REGISTRY/PREFIX, without a tag";
            return Err(Error::new(ErrorKind::Invalid, message).target(reference));
        }
        Ok(Base {
            registry: repository.registry().clone(),
            prefix: Some(repository.name().clone()),
            shown: None,
        })
    }

    fn repository(&self, name: &RepositoryName) -> Result<Repository> {
        let name = match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}").parse()?,
            None => name.clone(),
        };
        Ok(Repository::new(self.registry.clone(), name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_b8_a_registry_is_told_from_a_prefix() {
        let name: RepositoryName = "team/app".parse().unwrap();
        for (text, expected) in [
            ("localhost:5000", "localhost:5000/team/app"),
            ("localhost", "localhost/team/app"),
            ("registry.example", "registry.example/team/app"),
            ("127.0.0.1:5000/mirror", "127.0.0.1:5000/mirror/team/app"),
            ("registry.example/a/b", "registry.example/a/b/team/app"),
        ] {
            let base = Base::of(&text.parse().unwrap()).unwrap();
            let repository = base.repository(&name).unwrap();
            assert_eq!(repository.to_string(), expected, "{text}");
        }
        let error = Base::of(&"localhost:5000/a:1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("without a tag"), "{error}");
    }
}
