//! Which file needs which other one.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Path, Stmt, TraitItem, Visibility};

use super::attributes::{is_test, of_impl_item, of_item, of_statement, of_trait_item};
use super::modules::{Crate, Module};
use super::names::Place;
use super::uses::{Manner, imports};

/// For each file the files that it needs, each with an example.
pub(super) type Edges = BTreeMap<String, BTreeMap<String, Example>>;

/// A path, and the line where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) line: usize,
    pub(super) path: String,
}

/// The dependencies between the files of `of`.
pub(super) fn edges(of: &Crate) -> Edges {
    let mut edges = Edges::new();
    for (module, parsed) in &of.files {
        let mut reader = Reader {
            of,
            module: module.clone(),
            file: &parsed.name,
            edges: &mut edges,
        };
        reader.visit_file(&parsed.syntax);
    }
    edges
}

struct Reader<'a> {
    of: &'a Crate,
    module: Module,
    file: &'a str,
    edges: &'a mut Edges,
}

impl Reader<'_> {
    fn needs(&mut self, path: &[String], line: usize) {
        for place in self.of.resolve(&self.module, path) {
            let (Place::Module(module) | Place::Item(module)) = place;
            let Some(scope) = self.of.scopes.get(&module) else {
                continue;
            };
            let nodes = [self.file, &scope.file];
            if self.file == scope.file || !nodes.iter().all(|file| self.of.defining.contains(*file))
            {
                continue;
            }
            let targets = self.edges.entry(self.file.to_owned()).or_default();
            targets
                .entry(scope.file.clone())
                .or_insert_with(|| Example {
                    line,
                    path: path.join("::"),
                });
        }
    }

    /// A path of the code. A single name is a dependency only if it is re-exported here: a name
    /// that is imported for this module was counted where it is imported.
    fn path(&mut self, path: &[String], line: usize) {
        let [name] = path else {
            return self.needs(path, line);
        };
        let Some(scope) = self.of.scopes.get(&self.module) else {
            return;
        };
        let shown = scope
            .imports
            .iter()
            .find(|import| import.name.as_ref() == Some(name) && import.manner == Manner::Reexport);
        if let Some(import) = shown {
            self.needs(&import.path, line);
        }
    }

    /// Every path in the arguments of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(ident);
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                other => {
                    self.end(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<Ident>) {
        if let Some(first) = path.first() {
            let line = first.span().start().line;
            let names: Vec<String> = path.iter().map(ToString::to_string).collect();
            self.path(&names, line);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test(of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !is_test(of_trait_item(item)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !is_test(of_statement(statement)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            if import.manner == Manner::Private {
                self.needs(&import.path, item.use_token.span.start().line);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter();
            let names: Vec<String> = names.map(|part| part.ident.to_string()).collect();
            let first = path.segments.first().map(|part| part.ident.span());
            self.path(&names, first.map_or(0, |span| span.start().line));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    // Neither of them needs what it names.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
