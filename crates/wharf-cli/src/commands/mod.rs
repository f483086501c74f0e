//! The commands, one file each: arguments, help and work. `rustfmt` does not find files that are
//! named only in this list; `cargo xtask check` formats them.

crate::command::commands! {
    /// The commands.
    enum Command {
        Push(push::Push),
        Pull(pull::Pull),
        Copy(copy::Copy),
        Export(export::Export),
        Files(files::Files),
        Cat(cat::Cat),
        Manifest(manifest::Manifest),
        Config(config::Config),
        Digest(digest::Digest),
        Blob(blob::Blob),
        Ls(ls::Ls),
        Catalog(catalog::Catalog),
        Inspect(inspect::Inspect),
        Tree(tree::Tree),
        Validate(validate::Validate),
        Append(append::Append),
        Mutate(mutate::Mutate),
        Rebase(rebase::Rebase),
        Flatten(flatten::Flatten),
        Tag(tag::Tag),
        Delete(delete::Delete),
        #[command(subcommand)] Index(index::Index),
        #[command(subcommand)] Registry(registry::Registry),
        #[command(subcommand)] Auth(auth::Auth),
        Completion(completion::Completion),
        Version(version::Version),
        ManPages(man_pages::ManPages),
        ExitCodes(exit_codes::ExitCodes),
        Options(options::Options),
    }
}
