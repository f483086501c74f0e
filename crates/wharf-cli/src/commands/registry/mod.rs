//! `wharf registry`: the embedded registry.

crate::command::commands! {
    /// Run the embedded registry
    enum Registry {
        Serve(serve::Serve),
    }
}
