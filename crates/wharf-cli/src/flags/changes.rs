//! Flags that change the config and the annotations of an image.

use wharf::image::Mutation;

use super::{JsonList, List, Map, Pair};

/// Changes to an image.
#[derive(Debug, clap::Args)]
pub(crate) struct Changes {
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    running: Running,
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

impl Changes {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.mutation() == Mutation::default()
    }

    /// What is to be changed.
    pub(crate) fn mutation(&self) -> Mutation {
        let Changes { labels, running } = self;
        let list = |lists: &[List], json: &Option<JsonList>| match json {
            Some(JsonList(parts)) => Some(parts.clone()),
            None => (!lists.is_empty()).then(|| List::all(lists.to_vec())),
        };
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let ports = List::all(running.exposed_ports.clone());
        Mutation {
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
            ..Mutation::default()
        }
    }
}

/// What is removed, and then what is set.
fn several(maps: &[Map], exact: &[Pair], removed: &[String]) -> Vec<(String, Option<String>)> {
    let set = |pair: &Pair| (pair.key.clone(), Some(pair.value.clone()));
    let pairs = Map::all(maps.to_vec()).into_iter();
    let removed = removed.iter().map(|key| (key.clone(), None));
    removed
        .chain(pairs.map(|pair| set(&pair)))
        .chain(exact.iter().map(set))
        .collect()
}
