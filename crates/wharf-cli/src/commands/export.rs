//! `wharf export IMAGE [FILE|DIR/]`: the file system of an image as one tar, or in a directory.

use std::path::{Path, PathBuf, is_separator};

use wharf::Result;

use crate::arguments::Anywhere;
use crate::command::{OnSignal, Run};
use crate::context::Context;
use crate::flags::Effect;
use crate::output::Target;

/// Write the file system of an image as a tar, or into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Export {
    /// Image in a registry, layout or archive; - for an archive on standard input
    image: Anywhere,
    /// File for the tar, or a directory, which ends with / or is there and empty; without it, or
    /// with -, standard output
    #[arg(value_name = "FILE|DIR/")]
    to: Option<PathBuf>,
}

const HELP: &str = "\
The layers are merged as a container would see them: whiteouts are applied, and each path is there
once. Links, owners, modes, times, devices and extended attributes stay as they are. Of an index it
is the image for --platform, else that for linux/amd64. FILE is replaced only when the tar is whole.
Nothing is written outside of DIR, whatever the names and links of the image say. Users other than
root get the files without what only root may set; a line says what is left out.

Examples:
  wharf export alpine:3 - | tar -tv
  wharf export alpine:3 rootfs/
  docker save app | wharf export - app.tar";

impl Run for Export {
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Writes the tar and nothing else, or the files.
    async fn run(self, context: &Context) -> Result<()> {
        if let Some(directory) = self.to.as_ref().filter(|to| is_directory(to)) {
            let wharf = context.wharf()?;
            let image = wharf.read(&self.image.place).await?;
            let left_out = wharf.export_into(&image, directory).await?;
            if !left_out.is_empty() {
                let why = "not allowed to this user, or by the file system";
                context
                    .printer
                    .say(&format!("left out, as {why}: {left_out}"));
            }
            return Ok(());
        }
        let to = Target::of(self.to).unless_terminal("a tar")?;
        let wharf = context.wharf()?;
        let image = wharf.read(&self.image.place).await?;
        to.write(wharf.export(&image).await?).await
    }
}

/// Whether a directory is meant.
fn is_directory(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    text.last()
        .copied()
        .map(char::from)
        .is_some_and(is_separator)
        || path.is_dir()
}
