//! The modules of a crate, each with its file and the names in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse};

use super::attributes::{is_test, of_item};
use super::uses::{Import, imports};
use crate::tree::read;

/// `["copy", "retry"]` for `crate::copy::retry`.
pub(super) type Module = Vec<String>;

/// A crate as it is written, without its tests.
#[derive(Default)]
pub(super) struct Crate {
    pub(super) files: BTreeMap<Module, Parsed>,
    pub(super) scopes: BTreeMap<Module, Scope>,
    /// Files that define something; others only declare and re-export.
    pub(super) defining: BTreeSet<String>,
}

pub(super) struct Parsed {
    pub(super) name: String,
    pub(super) syntax: syn::File,
}

/// What names mean in a module.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) file: String,
    pub(super) items: BTreeSet<String>,
    pub(super) children: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
}

impl Crate {
    /// Reads the file `root` in `directory`, and the files of all modules that it declares.
    pub(super) fn read(directory: &Path, root: &str) -> Result<Self, String> {
        let mut this = Self::default();
        let mut pending = vec![(Module::new(), PathBuf::from(root))];
        while let Some((module, file)) = pending.pop() {
            let text = read(&directory.join(&file))?;
            let name = file.display().to_string();
            let syntax = syn::parse_file(&text).map_err(|error| format!("{name}: {error}"))?;
            for child in this.add(&name, &module, &syntax.items) {
                let path: PathBuf = child.iter().collect();
                let mut files = [path.with_extension("rs"), path.join("mod.rs")].into_iter();
                let Some(file) = files.find(|file| directory.join(file).is_file()) else {
                    continue;
                };
                if let Some((last, parent)) = child.split_last() {
                    let parent = this.scopes.entry(parent.to_vec()).or_default();
                    parent.children.insert(last.clone());
                }
                pending.push((child, file));
            }
            this.files.insert(module, Parsed { name, syntax });
        }
        Ok(this)
    }

    /// Notes the names of `items`. Returns the modules that have files of their own, if the files
    /// exist: those that are declared, and what a macro may declare.
    fn add(&mut self, file: &str, module: &Module, items: &[Item]) -> Vec<Module> {
        let mut outer = Vec::new();
        let mut scope = Scope {
            file: file.to_owned(),
            ..Scope::default()
        };
        for item in items.iter().filter(|item| !is_test(of_item(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let path = [module.as_slice(), std::slice::from_ref(&name)].concat();
                    match &child.content {
                        Some((_, items)) => {
                            scope.children.insert(name);
                            outer.extend(self.add(file, &path, items));
                        }
                        None => outer.push(path),
                    }
                }
                Item::Macro(item) if item.ident.is_none() => {
                    self.defining.insert(file.to_owned());
                    let first = starts(item.mac.tokens.clone()).into_iter();
                    outer.extend(first.map(|name| [module.as_slice(), &[name]].concat()));
                }
                Item::Use(_) | Item::ExternCrate(_) => {}
                _ => drop(self.defining.insert(file.to_owned())),
            }
            scope.items.extend(name_of(item));
            let mut declared = Declared::default();
            declared.visit_item(item);
            scope.imports.extend(declared.0);
        }
        self.scopes.insert(module.clone(), scope);
        outer
    }
}

/// Declarations in an item, those within functions too; the modules in it have their own.
#[derive(Default)]
struct Declared(Vec<Import>);

impl<'ast> Visit<'ast> for Declared {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.0.extend(imports(item));
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// The first names of all paths in the arguments of a macro.
fn starts(tokens: TokenStream) -> BTreeSet<String> {
    let mut starts = BTreeSet::new();
    let mut name = None;
    for token in tokens {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == ':' => starts.extend(name.take()),
            TokenTree::Ident(ident) => name = Some(ident.to_string()),
            TokenTree::Group(group) => starts.extend(self::starts(group.stream())),
            _ => name = None,
        }
    }
    starts
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
