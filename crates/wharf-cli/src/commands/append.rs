//! `wharf append -f FILE… -t REF`: layers on top of an image, or of each image of an index, or a new
//! image of files.

use wharf::image::{Edited, EditedImage, FileSet, Mutation};
use wharf::layer::{Family, Packing};
use wharf::place::{OpenedSource, Place, PlatformChoice};
use wharf::{Error, ErrorKind, Result, Wharf};
use wharf_oci::{ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME, Platform, rfc3339};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::env;
use crate::flags::{Changes, Effect, Files, List, NewLayers, PlatformWord, ResultTo};

/// Add layers on top of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Append {
    /// Layers to add: tar files, also compressed with gzip or zstd, or - for standard input
    #[arg(
        short = 'f',
        long,
        value_name = "FILE,…",
        required_unless_present = "files"
    )]
    #[arg(alias = "new_layer", allow_hyphen_values = true)]
    new_layer: Vec<List>,
    #[command(flatten)]
    files: Files,
    /// Image or index to add them to; without it, an empty image
    #[arg(short, long, value_name = "REF")]
    base: Option<Anywhere>,
    /// Without --base, use the media types of OCI, not of Docker
    #[arg(long, conflicts_with = "base")]
    oci_empty_base: bool,
    /// Set the annotations for the name and the digest of the base image
    #[arg(long, requires = "base")]
    set_base_image_annotations: bool,
    #[command(flatten)]
    to: ResultTo,
    #[command(flatten)]
    changes: Changes,
}

const HELP: &str = "\
A plain tar is compressed while it is sent; other files are used as they are. The layers of the base
are neither read nor uploaded again. Of an index each image gets the layers, unless --platform names
one. Prints the result with its digest, so that another command can take it.

--file makes a layer of files and directories: sorted, each path once with its parents before it, all
times 1970 or SOURCE_DATE_EPOCH, owned by root, with permissions that no umask changes. So the same
files give the same digest. Links stay links, but SRC itself is followed. A file for one PLATFORM goes
into the image for it, over those for all; files for several platforms, or several --platform, make an
index. Without --base, an image of files is for linux on the architecture of this machine unless a
platform is named.

Examples:
  wharf append -b alpine:3 -f app.tar -t registry.example/app:1
  tar -c app | wharf append -b registry.example/base -f - -t registry.example/app:1
  wharf append --oci-empty-base --file ./app:/app --entrypoint /app -t registry.example/app:1
  wharf append -b alpine:3 --file linux/amd64=app-amd64:/usr/bin/app \\
      --file linux/arm64=app-arm64:/usr/bin/app --file conf:/etc/app -t registry.example/app:1";

impl Run for Append {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Adds the layers, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        if !self.to.is_named() {
            let message = "nothing says where the result goes: add -t REF";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let tars = List::all(self.new_layer.clone());
        let tars = NewLayers::open(&tars, context).await?;
        let set = self.files.set()?;
        let files = set.layers(&Packing::default()).await?;
        let platforms = self.platforms(context, &set);
        let mutation = self.mutation()?;
        let wharf = context.wharf()?;
        let (opened, edited) = self.open(&wharf, context, &platforms).await?;
        files.check(edited.images())?;
        let edited = edited.map(&mut |image, _| {
            let image = files.put_on(tars.on(self.annotated(image))?)?;
            mutation.apply(image)
        })?;
        let landing = self.to.land_edited(context, &wharf, &opened, edited, None);
        landing.await
    }
}

impl Append {
    /// The platforms of the result: those that are named, else those that have files of their own,
    /// else for a new image of files that of this machine. None: those of the base.
    fn platforms(&self, context: &Context, files: &FileSet) -> Vec<Platform> {
        let named = context
            .flags
            .platforms()
            .iter()
            .filter_map(|word| match word {
                PlatformWord::All => None,
                PlatformWord::Of(platform) => Some(Platform::clone(platform)),
            });
        let named: Vec<Platform> = named.collect();
        let own = files.platforms();
        match () {
            () if !named.is_empty() => named,
            () if !own.is_empty() => own,
            () if self.base.is_none() && self.builds() => vec![Platform::linux_here()],
            () => Vec::new(),
        }
    }

    /// Whether more is asked for than to put layers together.
    fn builds(&self) -> bool {
        !self.files.is_empty() || !self.changes.is_empty()
    }

    /// The changes to the config. A new image of files was made when its files were.
    fn mutation(&self) -> Result<Mutation> {
        let created = match (&self.base, self.builds()) {
            (None, true) => Some(rfc3339(env::source_date_epoch()?.fixed().unwrap_or(0))),
            _ => None,
        };
        Ok(Mutation {
            created,
            ..self.changes.mutation()
        })
    }

    /// The base, to be changed.
    async fn open(
        &self,
        wharf: &Wharf,
        context: &Context,
        platforms: &[Platform],
    ) -> Result<(OpenedSource, Edited)> {
        if self.to.is_archive() && platforms.len() > 1 {
            let message = "a docker archive has one image: name one --platform";
            return Err(Error::new(ErrorKind::Ambiguous, message));
        }
        let Some(base) = &self.base else {
            let edited = self.empty(context, platforms);
            let opened = OpenedSource::new(edited.source().clone(), edited.clone());
            return Ok((opened, edited));
        };
        let several = platforms.len() > 1;
        let wharf = match platforms {
            [] => wharf.clone(),
            [one] => for_platform(wharf, one.clone().into()),
            _ => for_platform(wharf, PlatformChoice::All),
        };
        let opened = wharf.read(&base.place).await?;
        let edited = self.to.edit(&wharf, &opened).await?;
        match several {
            true => Ok((opened, edited.for_platforms(platforms)?)),
            false => Ok((opened, edited)),
        }
    }

    fn empty(&self, context: &Context, platforms: &[Platform]) -> Edited {
        let (family, kind) = match self.oci_empty_base {
            true => (Family::Oci, "OCI"),
            false => (Family::Docker, "Docker"),
        };
        let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        let names = match names.is_empty() {
            true => "no platform".to_owned(),
            false => names.join(", "),
        };
        context.printer.say(&format!(
            "no base image, so an empty {kind} image is used, for {names}"
        ));
        Edited::empty(family, platforms)
    }

    /// The image with annotations about its base, if they are wanted. A name by digest says nothing
    /// that the digest does not say.
    fn annotated(&self, mut image: EditedImage) -> EditedImage {
        let (Some(base), true) = (&self.base, self.set_base_image_annotations) else {
            return image;
        };
        if let Some(digest) = image.base().map(|base| base.digest.to_string()) {
            let annotations = &mut image.fields.annotations;
            annotations.insert(ANNOTATION_BASE_DIGEST.to_owned(), digest);
        }
        if let Place::Registry(reference) = &base.place
            && reference.digest().is_none()
        {
            let tag = reference.tag_or_latest();
            let name = format!("{}:{tag}", reference.repository());
            let annotations = &mut image.fields.annotations;
            annotations.insert(ANNOTATION_BASE_NAME.to_owned(), name);
        }
        image
    }
}

/// The same front door, for another platform.
fn for_platform(wharf: &Wharf, platform: PlatformChoice) -> Wharf {
    let mut options = wharf.options().clone();
    options.places.platform = platform;
    Wharf::with_options(wharf.client().clone(), options)
}
