//! The plain model of what a merge of layers must give.

use std::collections::{BTreeMap, BTreeSet};

use tar::EntryType;

use super::fixtures::Line;

/// A file system that applies layers one by one: the plain model of what the merge must give.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// By path: the layer and number of the entry, and its kind. Entries of links by name have a
    /// target; files of one inode share the entry. Directories without an entry have none.
    pub(super) nodes: BTreeMap<Vec<String>, Shown>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Directory(Option<(usize, usize)>),
    Symlink((usize, usize), String),
    File((usize, usize)),
}

impl Model {
    fn real(&self, folder: &[String]) -> Option<Vec<String>> {
        self.real_below(Vec::new(), folder)
    }

    /// Where a folder is below a path that is followed no more.
    fn real_below(&self, mut real: Vec<String>, folder: &[String]) -> Option<Vec<String>> {
        let mut left: Vec<String> = folder.iter().rev().cloned().collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => {}
                ".." => drop(real.pop()),
                _ => {
                    real.push(part);
                    if let Some(Shown::Symlink(_, to)) = self.nodes.get(&real) {
                        links += 1;
                        if links > 40 {
                            return None;
                        }
                        real.pop();
                        if to.starts_with('/') {
                            real.clear();
                        }
                        left.extend(to.rsplit('/').map(str::to_owned));
                    }
                }
            }
        }
        Some(real)
    }

    /// Where a whiteout counts: what its layer states to be a directory is no link.
    fn hiding(&self, folder: &str, stated: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
        let (mut own, mut real) = (Vec::new(), Vec::new());
        for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
            own.push(part.to_owned());
            if stated.contains(&own) {
                real.push(part.to_owned());
            } else {
                real = self.real_below(real, &[part.to_owned()])?;
            }
        }
        Some(real)
    }

    fn remove(&mut self, path: &[String]) {
        self.nodes.retain(|own, _| !own.starts_with(path));
    }

    fn path(&self, name: &str) -> Option<Vec<String>> {
        let parts: Vec<String> = name.split('/').map(str::to_owned).collect();
        let (last, folder) = parts.split_last()?;
        let mut real = self.real(folder)?;
        real.push(last.clone());
        Some(real)
    }

    /// Applies what can be applied; returns those lines.
    pub(super) fn apply(&mut self, layer: usize, lines: Vec<Line>) -> Vec<Line> {
        let whiteout = |line: &Line| line.name.contains(".wh.");
        let mut applied = Vec::new();
        let directories = lines
            .iter()
            .filter(|line| line.kind == EntryType::Directory);
        let parts = |line: &Line| {
            let parts = line.name.split('/').filter(|part| *part != ".");
            parts.map(str::to_owned).collect()
        };
        let stated: BTreeSet<Vec<String>> = directories.map(parts).collect();
        for line in &lines {
            let Some((folder, last)) = line.name.rsplit_once('/').filter(|_| whiteout(line)) else {
                continue;
            };
            let last = last.trim_start_matches(".wh.");
            let Some(mut path) = self.hiding(folder, &stated) else {
                continue;
            };
            path.push(last.to_owned());
            if last == ".opq" || last == "opq" {
                path.pop();
                self.nodes
                    .retain(|own, _| !own.starts_with(&path) || own.len() == path.len());
            } else {
                self.remove(&path);
            }
        }
        for line in lines {
            let at = (layer, applied.len());
            if whiteout(&line) || self.put(at, &line).is_some() {
                applied.push(line);
            }
        }
        applied
    }

    fn put(&mut self, at: (usize, usize), line: &Line) -> Option<()> {
        let path = self.path(&line.name)?;
        let shown = match line.kind {
            EntryType::Directory => Shown::Directory(Some(at)),
            EntryType::Symlink => Shown::Symlink(at, line.text.clone()),
            EntryType::Link => {
                let target = self.path(&line.text)?;
                let found = self.nodes.get(&target)?.clone();
                if matches!(found, Shown::Directory(_)) {
                    return None;
                }
                if target == path {
                    return Some(());
                }
                found
            }
            _ => Shown::File(at),
        };
        for end in 1..path.len() {
            let above = &path[..end];
            if !matches!(self.nodes.get(above), Some(Shown::Directory(_))) {
                self.remove(above);
                self.nodes.insert(above.to_vec(), Shown::Directory(None));
            }
        }
        let stays = matches!(
            (self.nodes.get(&path), &shown),
            (Some(Shown::Directory(_)), Shown::Directory(_))
        );
        if !stays {
            self.remove(&path);
        }
        self.nodes.insert(path, shown);
        Some(())
    }

    /// The entry of the file at a path, with links followed.
    pub(super) fn file(&self, path: &str) -> Option<(usize, usize)> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        // All but the last must be directories.
        let mut real = Vec::new();
        let (mut left, mut links): (Vec<String>, _) = (parts.into_iter().rev().collect(), 0);
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(part),
            }
            match self.nodes.get(&real)? {
                Shown::Directory(_) => {}
                Shown::File(at) => {
                    return left.iter().all(|part| part.is_empty()).then_some(*at);
                }
                Shown::Symlink(_, to) => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    real.pop();
                    if to.starts_with('/') {
                        real.clear();
                    }
                    left.extend(to.rsplit('/').map(str::to_owned));
                }
            }
        }
        None
    }
}
