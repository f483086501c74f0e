//! Picks the command, and gives it up when the user wants that.

use wharf::Result;

use crate::args::{Args, Command, Registry};
use crate::commands::{auth, copy, push, registry, version};
use crate::context::Context;
use crate::signals::{self, Signal};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did what it was told.
    Done,
    /// It was given up; what it had begun is cleaned away.
    Interrupted(Signal),
}

/// Runs the command that was typed.
///
/// # Errors
/// What the command says.
pub(crate) async fn run(args: Args) -> Result<Ended> {
    let context = Context::new(&args.global);
    match &args.command {
        Command::Push(push) => unless_interrupted(push::run(push, &context)).await,
        Command::Copy(copy) => unless_interrupted(copy::run(copy, &context)).await,
        Command::Registry(Registry::Serve(serve)) => registry::serve(serve, &context).await,
        Command::Auth(auth) => unless_interrupted(auth::run(auth, &context)).await,
        Command::Version => version::run(&context),
    }
}

/// Dropping the work ends it: files in the making are removed, connections closed.
async fn unless_interrupted(work: impl Future<Output = Result<()>>) -> Result<Ended> {
    tokio::select! {
        outcome = work => outcome.map(|()| Ended::Done),
        signal = signals::first() => signal.map(Ended::Interrupted),
    }
}
