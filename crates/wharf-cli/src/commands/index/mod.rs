//! `wharf index`: lists of manifests, mostly one for each platform.

crate::command::commands! {
    /// Work with indexes: lists of images, mostly one per platform
    enum Index {
        List(list::List),
        Append(append::Append),
        Filter(filter::Filter),
    }
}
