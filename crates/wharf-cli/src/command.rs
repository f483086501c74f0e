//! The trait of commands: arguments with their help, and their work.
//!
//! A command is one file and one line in a list made with [`commands!`].

use wharf::Result;

use crate::context::Context;
use crate::flags::Effect;
pub(crate) use crate::signals::OnSignal;

/// A command, or a group of commands.
pub(crate) trait Run {
    /// Runs the command.
    ///
    /// # Errors
    /// One line for the user.
    async fn run(self, context: &Context) -> Result<()>;

    /// Whether it changes anything.
    fn effect(&self) -> Effect {
        Effect::Lasting
    }

    /// The effect of a signal on it.
    fn on_signal(&self) -> OnSignal {
        OnSignal::Doubt
    }
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
                    // The future of a command is too large for the stack of its caller.
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
