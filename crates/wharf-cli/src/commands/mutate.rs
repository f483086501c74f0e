//! `wharf mutate REF`: another config and other annotations for an image, or each image of an index.

use wharf::image::{Edited, Mutation};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Platform;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::{Effect, JsonList, List, Map, NewLayers, Pair, ResultTo};
use crate::units;

/// Change the config, the annotations and the layers of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Mutate {
    /// Image or index in a registry, layout or archive
    #[arg(value_name = "REF")]
    image: Anywhere,
    #[command(flatten)]
    to: ResultTo,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    running: Running,
    /// Set the platform in the config: OS/ARCH[/VARIANT][:OSVERSION]
    #[arg(long, value_name = "PLATFORM")]
    set_platform: Option<Platform>,
    /// Set when the image was made: 2026-01-31T12:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = units::moment)]
    created: Option<String>,
    /// Add layers on top: tar files, also compressed with gzip or zstd
    #[arg(long, value_name = "FILE,…", allow_hyphen_values = true)]
    append: Vec<List>,
}

/// Labels and annotations.
#[derive(Debug, clap::Args)]
struct Labels {
    /// Set labels; KEY=VALUE,KEY2=VALUE2 sets several
    #[arg(short, long, value_name = "KEY=VALUE,…", allow_hyphen_values = true)]
    label: Vec<Map>,
    /// Set one label, whatever characters its value has
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    label_exact: Vec<Pair>,
    /// Remove a label
    #[arg(long, value_name = "KEY")]
    unlabel: Vec<String>,
    /// Set annotations of the manifest; KEY=VALUE,KEY2=VALUE2 sets several
    #[arg(short, long, value_name = "KEY=VALUE,…", allow_hyphen_values = true)]
    annotation: Vec<Map>,
    /// Set one annotation, whatever characters its value has
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    annotation_exact: Vec<Pair>,
    /// Remove an annotation
    #[arg(long, value_name = "KEY")]
    unannotate: Vec<String>,
}

/// How the image is run.
#[derive(Debug, clap::Args)]
struct Running {
    /// Set a variable of the environment
    #[arg(short, long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    env: Vec<Pair>,
    /// Remove a variable of the environment
    #[arg(long, value_name = "KEY")]
    unset_env: Vec<String>,
    /// Set the entry point, split at commas, and remove the command; "" removes both
    #[arg(long, value_name = "PART,…", allow_hyphen_values = true)]
    entrypoint: Vec<List>,
    /// The same as a JSON list, which may have commas in its parts
    #[arg(long, value_name = "JSON", conflicts_with = "entrypoint")]
    entrypoint_json: Option<JsonList>,
    /// Set the command, split at commas; "" removes it
    #[arg(long, value_name = "PART,…", allow_hyphen_values = true)]
    cmd: Vec<List>,
    /// The same as a JSON list, which may have commas in its parts
    #[arg(long, value_name = "JSON", conflicts_with = "cmd")]
    cmd_json: Option<JsonList>,
    /// Set the user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Set the working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Set all exposed ports
    #[arg(long, value_name = "PORT[/PROTOCOL],…")]
    exposed_ports: Vec<List>,
}

const HELP: &str = "\
What is not named stays as it is, fields that wharf does not know included. Of an index each image is
changed, unless --platform names one. The result replaces REF's tag, unless -t, --repo or -o say
otherwise; it is printed with its digest. Only the config and the manifest are uploaded.

Examples:
  wharf mutate registry.example/app:1 -l version=1.2 -t registry.example/app:1.2
  wharf mutate registry.example/app:1 --entrypoint-json '[\"sh\",\"-c\",\"a,b\"]' --unset-env DEBUG";

impl Run for Mutate {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Pause
    }

    /// Changes the image, and prints the reference of the result.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = wharf.read(&self.image.place).await?;
        let edited = self.to.edit(&wharf, &opened).await?;
        let mutation = self.mutation()?;
        self.check(&edited)?;
        let files = List::all(self.append.clone());
        let layers = NewLayers::open(&files, context).await?;
        let edited = edited.map(&mut |image, _| mutation.apply(layers.on(image)?))?;
        let result = opened.changed_to(edited);
        let over = Some(&self.image);
        self.to.land(context, &wharf, &result, over).await
    }
}

impl Mutate {
    fn mutation(&self) -> Result<Mutation> {
        let Mutate {
            labels, running, ..
        } = self;
        let set = |pair: &Pair| (pair.key.clone(), Some(pair.value.clone()));
        let several = |maps: &[Map], exact: &[Pair], removed: &[String]| {
            let pairs = Map::all(maps.to_vec()).into_iter();
            let removed = removed.iter().map(|key| (key.clone(), None));
            removed
                .chain(pairs.map(|pair| set(&pair)))
                .chain(exact.iter().map(set))
                .collect::<Vec<_>>()
        };
        let list = |lists: &[List], json: &Option<JsonList>| match json {
            Some(JsonList(parts)) => Some(parts.clone()),
            None => (!lists.is_empty()).then(|| List::all(lists.to_vec())),
        };
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let ports = List::all(running.exposed_ports.clone());
        Ok(Mutation {
            labels: several(&labels.label, &labels.label_exact, &labels.unlabel),
            annotations: several(
                &labels.annotation,
                &labels.annotation_exact,
                &labels.unannotate,
            ),
            env: several(&[], &running.env, &running.unset_env),
            entrypoint: list(&running.entrypoint, &running.entrypoint_json),
            cmd: list(&running.cmd, &running.cmd_json),
            user: some(&running.user),
            working_dir: some(&running.workdir),
            exposed_ports: (!ports.is_empty()).then_some(ports),
            platform: self.set_platform.clone(),
            created: self.created.clone(),
        })
    }

    /// One platform cannot be that of all images.
    fn check(&self, edited: &Edited) -> Result<()> {
        if self.set_platform.is_some() && edited.images().len() > 1 {
            let message = "--set-platform would give all images of this index one platform; choose an image with --platform";
            return Err(Error::new(ErrorKind::Ambiguous, message));
        }
        Ok(())
    }
}
