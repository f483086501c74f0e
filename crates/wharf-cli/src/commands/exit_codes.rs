//! `wharf help exit-codes`: the exit codes, as a page of help.

use wharf::Result;

use crate::command::Run;
use crate::context::Context;
use crate::exit_code;

/// Exit codes of every command
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    disable_help_flag = true,
    help_template = "{about}\n\n{after-help}",
    after_help = exit_code::page()
)]
pub(crate) struct ExitCodes;

impl Run for ExitCodes {
    /// Names the page; parsing a command line never runs this.
    async fn run(self, context: &Context) -> Result<()> {
        context
            .printer
            .data("wharf help exit-codes lists the exit codes")
    }
}
