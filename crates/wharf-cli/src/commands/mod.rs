//! The commands, each a file: arguments, help and what it does. `rustfmt` does not see files that
//! are named in this list only; `cargo xtask check` looks at them.

crate::command::commands! {
    /// The commands.
    enum Command {
        Push(push::Push),
        Copy(copy::Copy),
        Tag(tag::Tag),
        Delete(delete::Delete),
        #[command(subcommand)] Manifest(manifest::Manifest),
        #[command(subcommand)] Blob(blob::Blob),
        #[command(subcommand)] Registry(registry::Registry),
        #[command(subcommand)] Auth(auth::Auth),
        Version(version::Version),
        Options(options::Options),
    }
}
