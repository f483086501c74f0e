//! `wharf push PATH [REF]…`: from disk to registries, or into the embedded one.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wharf::Result;
use wharf::place::{OpenedSource, OpenedStore, Part};
use wharf::remote::Client;
use wharf_oci::Reference;

use crate::arguments::{Image, OnDisk};
use crate::command::Run;
use crate::context::Context;
use crate::flags::{Effect, Moving};
use crate::image_refs::ImageRefs;
use crate::transfer::Transfer;
use crate::{embed, failures, stats};

/// Push an image from disk to registries, or to the embedded registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Push {
    /// OCI layout directory, tar archive of one, docker archive, or - for an archive on standard input
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| OnDisk::parse(&text)))]
    path: OnDisk,
    /// Destinations, REGISTRY/REPOSITORY[:TAG]; without one, the embedded registry
    #[arg(value_name = "REF")]
    references: Vec<Image>,
    /// Also write the pushed references with their digests to this file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    image_refs: Option<PathBuf>,
    /// Push everything that the layout lists, as one index: its index.json, byte for byte
    #[arg(long)]
    index: bool,
    #[command(flatten)]
    moving: Moving,
}

const HELP: &str = "\
Prints each REF with its digest. A REF without a tag gets the tag that the image has on disk, or
`latest`. If PATH holds several images, select one: oci:DIR:TAG, oci-archive:FILE:TAG,
docker-archive:FILE:NAME[:TAG] or PATH@DIGEST.

Examples:
  wharf push app.tar registry.example/team/app:1.2
  docker save app | wharf push - localhost:5000/app";

impl Run for Push {
    fn effect(&self) -> Effect {
        self.moving.effect()
    }

    /// Pushes to each REF; prints each with its digest. Whether the file for the references can be
    /// written is known before anything is sent.
    async fn run(self, context: &Context) -> Result<()> {
        let references: Vec<Reference> =
            self.references.iter().map(|Image(to)| to.clone()).collect();
        let OnDisk(local) = &self.path;
        let part = match self.index {
            true => Part::Whole,
            false => Part::One,
        };
        let image_refs = self.image_refs.as_deref().map(ImageRefs::open);
        let image_refs = image_refs.transpose()?;
        let options = context.place_options();
        let chosen = OpenedSource::local(local, part, &context.retry, &options).await?;
        let client = match references.is_empty() {
            // The embedded registry has another port each time.
            true => context.forgetful_client()?,
            false => context.client()?,
        };
        let pushed = match references.is_empty() {
            true => embed::push(&chosen, &local.at, &self.moving, &client, context)
                .await?
                .into_iter()
                .collect(),
            false => to_registries(&self.moving, &references, &chosen, &client, context).await?,
        };
        stats::say(&context.printer, &self.moving, &client);
        match image_refs {
            Some(file) => file.write(&pushed),
            None => Ok(()),
        }
    }
}

/// Pushes to all at once, reading and compressing everything once; each REF fails or succeeds on
/// its own. What was pushed is printed; of several errors the last is given, the others are said.
async fn to_registries(
    moving: &Moving,
    references: &[Reference],
    chosen: &OpenedSource,
    client: &Client,
    context: &Context,
) -> Result<Vec<String>> {
    let repositories = by_repository(references, chosen, client)?;
    let transfer = Transfer {
        chosen,
        moving,
        verb: "pushed",
    };
    let destinations: Vec<&OpenedStore> = repositories.iter().map(|(to, _)| to).collect();
    let outcomes = transfer.run_all(&destinations, context).await;
    let (mut pushed, mut failed) = (Vec::new(), Vec::new());
    for (outcome, (_, references)) in outcomes.into_iter().zip(&repositories) {
        match outcome {
            Ok(None) => {}
            Ok(Some(root)) => {
                for (position, reference) in references {
                    let line = (*reference).clone().with_digest(root.digest.clone());
                    pushed.push((*position, line.to_string()));
                }
            }
            Err(error) => failed.push(error),
        }
    }
    pushed.sort();
    for (_, line) in &pushed {
        context.printer.data(line)?;
    }
    failures::all(failed)?;
    Ok(pushed.into_iter().map(|(_, line)| line).collect())
}

type Destinations<'a> = Vec<(OpenedStore, Vec<(usize, &'a Reference)>)>;

/// Each repository once, with all its tags (wire.md O6), and the references that name it.
fn by_repository<'a>(
    references: &'a [Reference],
    chosen: &OpenedSource,
    client: &Client,
) -> Result<Destinations<'a>> {
    let mut repositories: Destinations<'a> = Vec::new();
    for (position, reference) in references.iter().enumerate() {
        let destination = OpenedStore::registry(reference, chosen, client)?;
        let same = repositories.iter_mut().find(|(_, of)| {
            of.iter()
                .any(|(_, one)| one.repository() == reference.repository())
        });
        match same {
            Some((known, of)) => {
                for tag in destination.tags {
                    if !known.tags.contains(&tag) {
                        known.tags.push(tag);
                    }
                }
                of.push((position, reference));
            }
            None => repositories.push((destination, vec![(position, reference)])),
        }
    }
    Ok(repositories)
}
