//! `use` declarations, taken apart.

use syn::{ItemUse, UseTree, Visibility};

/// One name of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// As written, from `crate`, `self`, `super` or a name in scope on.
    pub(super) path: Vec<String>,
    /// What it is called here; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// For this module.
    Private,
    /// For other modules too: no dependency as long as the name is not used here.
    Reexport,
}

/// All names of `item`; none where they come from another crate for sure.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let manner = match item.vis {
        Visibility::Inherited => Manner::Private,
        _ => Manner::Reexport,
    };
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        walk(&item.tree, &mut Vec::new(), manner, &mut imports);
    }
    imports
}

fn walk(tree: &UseTree, path: &mut Vec<String>, manner: Manner, imports: &mut Vec<Import>) {
    let mut add = |path: Vec<String>, name: Option<String>| {
        imports.push(Import { path, name, manner });
    };
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            walk(&step.tree, path, manner, imports);
            path.pop();
        }
        UseTree::Name(leaf) if leaf.ident == "self" => add(path.clone(), path.last().cloned()),
        UseTree::Name(leaf) => {
            let name = leaf.ident.to_string();
            let whole = [path.as_slice(), std::slice::from_ref(&name)].concat();
            add(whole, Some(name));
        }
        UseTree::Rename(leaf) => {
            let mut whole = path.clone();
            if leaf.ident != "self" {
                whole.push(leaf.ident.to_string());
            }
            add(whole, Some(leaf.rename.to_string()));
        }
        UseTree::Glob(_) => add(path.clone(), None),
        UseTree::Group(group) => {
            for tree in &group.items {
                walk(tree, path, manner, imports);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_become_paths() {
        let item = syn::parse_str("pub use super::{a::{self, B as C}, d::*, E};").expect("Rust");
        let imports = imports(&item).into_iter();
        let plain: Vec<_> = imports
            .map(|import| (import.path.join("::"), import.name.unwrap_or_default()))
            .collect();
        let expected = [
            ("super::a", "a"),
            ("super::a::B", "C"),
            ("super::d", ""),
            ("super::E", "E"),
        ];
        assert_eq!(
            plain,
            expected.map(|(path, name)| (path.to_owned(), name.to_owned()))
        );
    }
}
