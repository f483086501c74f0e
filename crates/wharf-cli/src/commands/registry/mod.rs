//! `wharf registry`: the embedded registry.

crate::command::commands! {
    /// The embedded registry
    enum Registry {
        Serve(serve::Serve),
    }
}
