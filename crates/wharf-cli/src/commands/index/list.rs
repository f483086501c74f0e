//! `wharf index list REF`: what an index lists.

use wharf::{Error, ErrorKind, Result};
use wharf_oci::Descriptor;

use crate::arguments::Anywhere;
use crate::command::Run;
use crate::context::Context;
use crate::flags::{Effect, Format};

/// List the manifests of an index: digest, media type and platform
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct List {
    /// Index in a registry, layout or archive; ./DIR is the index.json of a layout
    #[arg(value_name = "INDEX")]
    index: Anywhere,
    /// Form of the output; json is a list of the descriptors, with all their fields
    #[arg(long, value_name = "HOW", default_value = "text")]
    format: Format,
}

const HELP: &str = "\
A manifest without a platform has `-` in its place.

Examples:
  wharf index list alpine:3
  wharf index list --format json ./layout";

impl Run for List {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    async fn run(self, context: &Context) -> Result<()> {
        let opened = context.wharf()?.index(&self.index.place).await?;
        let children = &opened.index().manifests;
        let printed = match self.format {
            Format::Text => table(children),
            Format::Json => json(children)?,
        };
        context.printer.data(&printed)
    }
}

/// A header, and a line for each child. What is too wide for its column moves the rest.
fn table(children: &[Descriptor]) -> String {
    let row = |digest: &str, media_type: &str, platform: &str| {
        format!("{digest:<70} {media_type:<20} {platform}")
    };
    let mut rows = vec![row("Digest", "MediaType", "Platform")];
    for child in children {
        let platform = child.platform.as_ref().map(ToString::to_string);
        let digest = child.digest.to_string();
        let media_type = child.media_type.as_str().escape_debug().to_string();
        rows.push(row(
            &digest,
            &media_type,
            platform.as_deref().unwrap_or("-"),
        ));
    }
    rows.join("\n")
}

fn json(children: &[Descriptor]) -> Result<String> {
    serde_json::to_string(children)
        .map_err(|error| Error::new(ErrorKind::Invalid, "index").source(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_seventy_and_twenty_wide_and_nothing_is_cut() {
        let digest = format!("sha256:{:064}", 7);
        let child = |media_type: &str, platform| {
            let child = json!({"mediaType": media_type, "digest": digest, "size": 1,
                "platform": platform});
            serde_json::from_value::<Descriptor>(child).unwrap()
        };
        let windows = json!({"os": "windows", "architecture": "arm", "variant": "v7",
            "os.version": "10.0"});
        let found = table(&[child("a/b", windows), child("text\n", json!(null))]);
        let expected = [
            format!(
                "Digest{} MediaType{} Platform",
                " ".repeat(64),
                " ".repeat(11)
            ),
            format!("{digest} a/b{} windows/arm/v7:10.0", " ".repeat(17)),
            format!("{digest} text\\n{} -", " ".repeat(14)),
        ];
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }
}
