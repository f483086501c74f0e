//! `wharf help options`: the flags of every command, as a page of help.

use wharf::Result;

use crate::command::Run;
use crate::context::Context;

/// Options of every command
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    disable_help_flag = true,
    help_template = "{about}\n\n{all-args}"
)]
pub(crate) struct Options;

impl Run for Options {
    /// Names the page; parsing a command line never runs this.
    async fn run(self, context: &Context) -> Result<()> {
        context
            .printer
            .data("wharf help options lists the options of every command")
    }
}
