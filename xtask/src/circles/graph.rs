//! Circles of a graph.

use std::collections::BTreeSet;

use super::edges::Edges;

/// Files that all need each other, directly or through others of them.
pub(super) type Circle = BTreeSet<String>;

/// All circles of more than one file, the largest first.
pub(super) fn circles(edges: &Edges) -> Vec<Circle> {
    let mut circles = BTreeSet::new();
    for file in edges.keys() {
        let needed = reached(edges, file);
        let circle = needed
            .iter()
            .filter(|other| reached(edges, other).contains(file));
        let circle: Circle = circle.cloned().collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    let mut circles: Vec<Circle> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// What is needed by `file`, directly or not.
fn reached(edges: &Edges, file: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![file];
    while let Some(next) = pending.pop() {
        for target in edges
            .get(next)
            .into_iter()
            .flat_map(|targets| targets.keys())
        {
            if reached.insert(target.clone()) {
                pending.push(target);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::edges::Example;
    use super::*;

    #[test]
    fn circles_are_found_and_chains_are_none() {
        let mut edges = Edges::new();
        for (from, to) in ["ab", "bc", "ca", "cd", "de", "ed", "ef"].map(|edge| edge.split_at(1)) {
            let example = Example {
                line: 1,
                path: to.to_owned(),
            };
            let targets = edges.entry(from.to_owned()).or_default();
            targets.insert(to.to_owned(), example);
        }
        let found = circles(&edges).into_iter();
        let found: Vec<String> = found.map(|circle| circle.into_iter().collect()).collect();
        assert_eq!(found, ["abc", "de"]);
    }
}
