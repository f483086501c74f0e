//! `wharf tree IMAGE`: what is below an image or index, and what refers to it.

use serde::Serialize;
use wharf::Result;
use wharf::front::{TreeNode, TreeRole};

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Format;
use crate::inspection::{manifest_words, shown};
use crate::units::bytes;

/// Show what is below an image or index, and what refers to it
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Tree {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

const HELP: &str = "\
Shows the manifests of an index, their configs and layers, and the referrers of each manifest, such
as signatures and SBOMs, with what refers to those. Reads manifests only.

Example:
  wharf tree registry.example/app:1";

/// The JSON of a tree.
#[derive(Serialize)]
struct Document<'a> {
    reference: &'a str,
    #[serde(flatten)]
    root: &'a TreeNode,
}

impl Run for Tree {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the tree and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let wharf = context.wharf()?;
        let opened = context.read(&wharf, &self.image).await?;
        let root = wharf.tree(&opened).await?;
        let reference = self.image.typed.as_str();
        if self.format == Format::Json {
            let root = &root;
            return context.printer.json(&Document { reference, root });
        }
        let mut lines = vec![reference.to_owned(), line(&root)];
        branches(&root, "", &mut lines);
        context.printer.lines(lines.into_iter())
    }
}

/// A line for each node below this one.
fn branches(node: &TreeNode, indent: &str, lines: &mut Vec<String>) {
    let last = node.children.len().saturating_sub(1);
    for (at, child) in node.children.iter().enumerate() {
        let (branch, below) = match at == last {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        lines.push(format!("{indent}{branch}{}", line(child)));
        branches(child, &format!("{indent}{below}"), lines);
    }
}

fn line(node: &TreeNode) -> String {
    let content = &node.content;
    let (digest, size) = (&content.digest, bytes(content.size));
    let words = match (node.role, content.kind) {
        (TreeRole::Referrer, Some(_)) => format!("referrer, {}", manifest_words(content)),
        (_, Some(_)) => manifest_words(content),
        (role, None) => format!("{}, {}", word(role), shown(&content.media_type)),
    };
    let mut line = format!("{digest}  {size}  {words}");
    for note in &node.notes {
        line.push_str(&format!(" ({})", shown(note)));
    }
    line
}

fn word(role: TreeRole) -> &'static str {
    match role {
        TreeRole::Config => "config",
        TreeRole::Layer => "layer",
        TreeRole::Referrer => "referrer",
        _ => "blob",
    }
}
