//! Conditions on a write: the manifest that a name must, or must not, name. RFC 9110, 13.1.

use wharf_oci::{Digest, Selector};

/// The condition on a name at the moment when a manifest is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The name that is checked.
    pub at: Selector,
    /// `If-Match`: the name has one of these.
    pub matches: Option<EntityTags>,
    /// `If-None-Match`: the name has none of these.
    pub differs: Option<EntityTags>,
}

impl Condition {
    /// Whether it holds if `at` names `current`, or nothing.
    pub fn holds(&self, current: Option<&Digest>) -> bool {
        let is_one_of = |tags: &EntityTags| current.is_some_and(|digest| tags.contain(digest));
        self.matches.as_ref().is_none_or(is_one_of) && !self.differs.as_ref().is_some_and(is_one_of)
    }
}

/// The entity tags of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntityTags {
    /// `*`: any manifest.
    Any,
    /// These. A tag that is not a digest matches nothing here, and is left out.
    These(Vec<Digest>),
}

impl EntityTags {
    /// Whether content of this digest matches.
    pub fn contain(&self, digest: &Digest) -> bool {
        match self {
            EntityTags::Any => true,
            EntityTags::These(digests) => digests.contains(digest),
        }
    }
}

/// The result of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Written durably.
    Done,
    /// The condition did not hold; nothing changed.
    Declined,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_those_of_http() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let these = |digest: &Digest| Some(EntityTags::These(vec![digest.clone()]));
        let any = Some(EntityTags::Any);
        for (matches, differs, current, expected) in [
            (None, None, None, true),
            (these(&one), None, Some(&one), true),
            (these(&one), None, Some(&two), false),
            (these(&one), None, None, false),
            (any.clone(), None, Some(&two), true),
            (any.clone(), None, None, false),
            (None, any.clone(), None, true),
            (None, any, Some(&one), false),
            (None, these(&one), Some(&one), false),
            (None, these(&one), Some(&two), true),
            (these(&one), these(&one), Some(&one), false),
        ] {
            let condition = Condition {
                at: Selector::Tag("v1".parse().unwrap()),
                matches,
                differs,
            };
            let holds = condition.holds(current);
            assert_eq!(holds, expected, "{condition:?} {current:?}");
        }
    }
}
