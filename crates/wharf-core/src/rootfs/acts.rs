//! What is written of each layer, and what is shown under each path.

use std::collections::HashMap;

use super::directory::{Directory, Leaf, Name};
use super::seen::Place;
use super::tree::Tree;

/// What is written for one entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The entry with its content, under this name.
    Own(Vec<u8>),
    /// Another name of what was written under the second.
    Link(Vec<u8>, Vec<u8>),
}

/// What is written of one layer: numbers of entries, ascending, with what is written for them.
pub(super) type Acts = Vec<(usize, Act)>;

/// What a path shows. Directories without an entry are left out.
pub(super) enum Node {
    Directory(Place),
    Leaf(Leaf),
}

/// Visits all paths below the root, each without a slash at its start; that of the root is empty.
pub(super) fn each(tree: &Tree, visit: &mut impl FnMut(&[u8], Node)) {
    below(&tree.root, &mut Vec::new(), visit);
}

fn below(directory: &Directory, path: &mut Vec<u8>, visit: &mut impl FnMut(&[u8], Node)) {
    if let Some(place) = directory.place {
        visit(path, Node::Directory(place));
    }
    let length = path.len();
    let enter = |path: &mut Vec<u8>, name: &Name| {
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name);
    };
    for (name, next) in &directory.directories {
        enter(path, name);
        below(next, path, visit);
        path.truncate(length);
    }
    for (name, leaf) in &directory.leaves {
        enter(path, name);
        visit(path, Node::Leaf(*leaf));
        path.truncate(length);
    }
}

/// What is written of each layer, the lowest first.
pub(super) fn acts(tree: &Tree) -> Vec<Acts> {
    let mut writing = Writing {
        acts: vec![Acts::new(); tree.layers],
        names: HashMap::new(),
    };
    each(tree, &mut |path, node| writing.note(path, node));
    let mut sharing: Vec<_> = std::mem::take(&mut writing.names).into_iter().collect();
    sharing.sort();
    for (inode, names) in sharing {
        if let Some(inode) = tree.inodes.get(inode) {
            writing.leaf(inode.place, names);
        }
    }
    // The sort is stable: what has one number stays in its order.
    let acts = writing.acts.iter_mut();
    acts.for_each(|acts| acts.sort_by_key(|(entry, _)| *entry));
    writing.acts
}

/// Collects what is written.
struct Writing {
    acts: Vec<Acts>,
    /// By inode, its names and the entries that gave them.
    names: HashMap<usize, Vec<(Place, Vec<u8>)>>,
}

impl Writing {
    fn note(&mut self, path: &[u8], node: Node) {
        match node {
            Node::Directory(place) if path.is_empty() => self.add(place, Act::Own(b".".to_vec())),
            Node::Directory(place) => self.add(place, Act::Own(path.to_vec())),
            Node::Leaf(leaf) => {
                let names = self.names.entry(leaf.inode).or_default();
                names.push((leaf.place, path.to_vec()));
            }
        }
    }

    /// The bytes are written where they stand, under the name that was given first; other names
    /// link to it.
    fn leaf(&mut self, place: Place, mut names: Vec<(Place, Vec<u8>)>) {
        names.sort();
        let mut names = names.into_iter();
        let Some((_, first)) = names.next() else {
            return;
        };
        let links: Vec<_> = names.collect();
        self.add(place, Act::Own(first.clone()));
        for (own, name) in links {
            // A link of a higher layer would come before what it is linked to.
            let at = if own.layer == place.layer { own } else { place };
            self.add(at, Act::Link(name, first.clone()));
        }
    }

    fn add(&mut self, place: Place, act: Act) {
        if let Some(acts) = self.acts.get_mut(place.layer) {
            acts.push((place.entry, act));
        }
    }
}
