//! Where a path of a crate leads, through declarations and re-exports.

use std::collections::BTreeSet;

use super::modules::{Crate, Module};

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Module(Module),
    /// An item of this module.
    Item(Module),
}

/// Names that are being looked up, so that declarations that go round end.
type Seen = BTreeSet<(Module, String)>;

impl Crate {
    /// What `path` means in `module`; nothing where it leads to another crate.
    pub(super) fn resolve(&self, module: &Module, path: &[String]) -> BTreeSet<Place> {
        self.walk(module, path, &mut Seen::new())
    }

    fn walk(&self, module: &Module, path: &[String], seen: &mut Seen) -> BTreeSet<Place> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Place::Module(module.clone())]);
        };
        match (first.as_str(), module.split_last()) {
            ("crate", _) => return self.below(&Module::new(), rest, seen),
            ("self", _) => return self.below(module, rest, seen),
            ("super", Some((_, parent))) => return self.below(&parent.to_vec(), rest, seen),
            _ => {}
        }
        let places = self.lookup(module, first, seen).into_iter();
        places
            .flat_map(|place| self.on(place, rest, seen))
            .collect()
    }

    /// As [`Self::walk`] within a module, where further `super` go up and names have to exist.
    fn below(&self, module: &Module, path: &[String], seen: &mut Seen) -> BTreeSet<Place> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Place::Module(module.clone())]);
        };
        if let ("super", Some((_, parent))) = (first.as_str(), module.split_last()) {
            return self.below(&parent.to_vec(), rest, seen);
        }
        let places = self.lookup(module, first, seen);
        if places.is_empty() {
            // What a macro made, perhaps.
            return BTreeSet::from([Place::Item(module.clone())]);
        }
        let places = places.into_iter();
        places
            .flat_map(|place| self.on(place, rest, seen))
            .collect()
    }

    fn on(&self, place: Place, rest: &[String], seen: &mut Seen) -> BTreeSet<Place> {
        match place {
            Place::Module(module) => self.below(&module, rest, seen),
            // A variant, or a function of a type.
            Place::Item(_) => BTreeSet::from([place]),
        }
    }

    fn lookup(&self, module: &Module, name: &str, seen: &mut Seen) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        let Some(scope) = self.scopes.get(module) else {
            return places;
        };
        if !seen.insert((module.clone(), name.to_owned())) {
            return places;
        }
        if scope.items.contains(name) {
            places.insert(Place::Item(module.clone()));
        }
        if scope.children.contains(name) {
            let child = [module.as_slice(), &[name.to_owned()]].concat();
            places.insert(Place::Module(child));
        }
        for import in &scope.imports {
            if import.name.as_deref() == Some(name) && import.path.as_slice() != [name.to_owned()] {
                places.extend(self.walk(module, &import.path, seen));
            }
        }
        if places.is_empty() {
            for import in scope.imports.iter().filter(|import| import.name.is_none()) {
                for place in self.walk(module, &import.path, seen) {
                    if let Place::Module(from) = place {
                        places.extend(self.lookup(&from, name, seen));
                    }
                }
            }
        }
        seen.remove(&(module.clone(), name.to_owned()));
        places
    }
}
