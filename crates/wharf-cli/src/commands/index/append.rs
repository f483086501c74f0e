//! `wharf index append [BASE] -m REF…`: an index with further manifests.

use clap::builder::{BoolishValueParser, TypedValueParser};
use wharf::front::Nesting;
use wharf::image::{IndexPart, NewIndex};
use wharf::layer::Family;
use wharf::place::{Form, LocalPlace, OpenedSource, PathOrStdin, Place};
use wharf::{Error, ErrorKind, Result, Wharf};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{List, ResultTo};

/// Add manifests to an index, or make a new one
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Append {
    /// Index to extend; ./DIR is the index.json of a layout; without BASE, a new index
    base: Option<Anywhere>,
    /// Further manifests, as with -m
    #[arg(value_name = "MANIFEST")]
    more: Vec<Anywhere>,
    /// Images or indexes to add, in a registry, layout or archive; a list, also repeated
    #[arg(short, long = "manifest", value_name = "REF,…")]
    manifests: Vec<List>,
    /// Destination of the index; without it, BASE
    #[arg(short, long, value_name = "REF")]
    tag: Option<Anywhere>,
    /// Add the manifests of an index; with =false, the index itself as one manifest
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true"
    )]
    #[arg(num_args = 0..=1, require_equals = true, value_parser = nesting())]
    flatten: Nesting,
    /// Begin with a Docker manifest list, not with an OCI index
    #[arg(long, conflicts_with = "base")]
    docker_empty_base: bool,
}

const HELP: &str = "\
The platform of an image is that of its config. Manifests are copied into the repository of the
index, and mounted where they are in the same registry. Prints the reference of the index with its
digest. A BASE that is a layout directory is extended itself unless -t is given: then its index.json
lists the manifests, and nothing is printed; a missing directory is made.

Examples:
  wharf index append -m app:amd64 -m app:arm64 -t registry.example/app:1
  wharf index append registry.example/app:1 -m registry.example/app:riscv64
  wharf index append ./layout -m alpine:3";

impl Run for Append {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        if self.base.is_none() && self.tag.is_none() {
            let message = "nothing says where the index goes: name a BASE, or add -t REF";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let parts = self.parts(&wharf).await?;
        if let (Some(directory), None) = (self.layout(), &self.tag) {
            return wharf.extend_layout(directory, parts).await.map(drop);
        }
        let begun = self.begun(&wharf).await?;
        let index = parts.into_iter().fold(begun, NewIndex::with);
        let result = OpenedSource::from(index);
        ResultTo::tagged(self.tag.clone())
            .land(context, &wharf, &result, self.base.as_ref())
            .await
    }
}

impl Append {
    /// What is added, in order.
    async fn parts(&self, wharf: &Wharf) -> Result<Vec<IndexPart>> {
        let listed = List::all(self.manifests.clone()).into_iter();
        let listed = listed.map(|text| text.parse::<Anywhere>().map_err(|error| error.0));
        let listed = listed.collect::<Result<Vec<_>>>()?;
        let mut parts = Vec::new();
        for from in listed.iter().chain(&self.more) {
            parts.extend(wharf.index_parts(&from.place, self.flatten).await?);
        }
        Ok(parts)
    }

    /// The index that is extended.
    async fn begun(&self, wharf: &Wharf) -> Result<NewIndex> {
        match &self.base {
            Some(base) => Ok(wharf.index(&base.place).await?.changed()),
            None => Ok(NewIndex::empty(match self.docker_empty_base {
                true => Family::Docker,
                false => Family::Oci,
            })),
        }
    }

    /// The directory of a layout that is extended itself.
    fn layout(&self) -> Option<&std::path::Path> {
        match &self.base.as_ref()?.place {
            Place::Local(LocalPlace {
                form: Form::Any | Form::Layout,
                at: PathOrStdin::Path(path),
                choice: None,
            }) => Some(path),
            _ => None,
        }
    }
}

fn nesting() -> impl TypedValueParser<Value = Nesting> {
    BoolishValueParser::new().map(|flat| match flat {
        true => Nesting::Flat,
        false => Nesting::Whole,
    })
}
