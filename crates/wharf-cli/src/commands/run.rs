//! Picks the command, and gives it up when the user wants that.

use wharf::Result;

use crate::args::{Args, Blob, Command, Manifest, Registry};
use crate::commands::{auth, blob, copy, delete, manifest, push, registry, tag, version};
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
    let context = Context::new(&args.global, args.command.effect());
    let ended = match &args.command {
        Command::Push(push) => unless_interrupted(push::run(push, &context)).await,
        Command::Copy(copy) => unless_interrupted(copy::run(copy, &context)).await,
        Command::Tag(args) => unless_interrupted(tag::run(args, &context)).await,
        Command::Delete(args) => unless_interrupted(delete::run(args, &context)).await,
        Command::Manifest(Manifest::Put(args)) => {
            unless_interrupted(manifest::put(args, &context)).await
        }
        Command::Blob(Blob::Push(push)) => unless_interrupted(blob::push(push, &context)).await,
        Command::Registry(Registry::Serve(serve)) => registry::serve(serve, &context).await,
        Command::Auth(auth) => unless_interrupted(auth::run(auth, &context)).await,
        Command::Version => version::run(&context),
    };
    context.end().await;
    ended
}

/// Dropping the work ends it: files in the making are removed, connections closed.
async fn unless_interrupted(work: impl Future<Output = Result<()>>) -> Result<Ended> {
    tokio::select! {
        outcome = work => outcome.map(|()| Ended::Done),
        signal = signals::first() => signal.map(Ended::Interrupted),
    }
}
