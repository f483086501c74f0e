//! What every command is: arguments with their help, and what they do.
//!
//! A command is one file and one line in a list made with [`commands!`].

use wharf::Result;

use crate::context::Context;
use crate::flags::Effect;

/// What can be run: a command, or a group of commands.
pub(crate) trait Run {
    /// Does what was typed.
    ///
    /// # Errors
    /// One line for the user.
    async fn run(self, context: &Context) -> Result<()>;

    /// Whether it changes anything.
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    /// What a signal does to it.
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }
}

/// What happens to a command when the user or a service manager wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSignal {
    /// Its work is dropped, and the exit code names the signal.
    Abandon,
    /// It watches for signals itself, and ends well.
    End,
}

/// Declares a list of commands: each line names a command, its file below this one, and the type
/// of its arguments in there. A group of commands is a list of its own, in `GROUP/mod.rs`.
macro_rules! commands {
    (
        $(#[$about:meta])*
        enum $list:ident {
            $( $(#[$how:meta])* $command:ident($file:ident::$arguments:ident), )*
        }
    ) => {
        $( mod $file; )*

        $(#[$about])*
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum $list {
            $( $(#[$how])* $command($file::$arguments), )*
        }

        impl $crate::command::Run for $list {
            async fn run(self, context: &$crate::context::Context) -> wharf::Result<()> {
                match self {
                    // What a command waits for is too large for the stack of its caller.
                    $( $list::$command(command) => Box::pin(command.run(context)).await, )*
                }
            }

            fn effect(&self) -> $crate::flags::Effect {
                match self {
                    $( $list::$command(command) => command.effect(), )*
                }
            }

            fn on_signal(&self) -> $crate::command::OnSignal {
                match self {
                    $( $list::$command(command) => command.on_signal(), )*
                }
            }
        }
    };
}

pub(crate) use commands;
