//! Tags are listed in lexical order, a page at a time.

use wharf_oci::Tag;

use super::clause::{Kept, Trial, ensure, offered, tag};
use super::content::image;
use crate::Result;

const PUT: [&str; 6] = ["b", "Z", "a", "10", "9", "a.1"];
const SORTED: [&str; 6] = ["10", "9", "Z", "a", "a.1", "b"];

/// All tags are listed in lexical order, each once, also a tag that was put twice.
pub(super) async fn is_in_lexical_order(trial: &Trial<'_>) -> Kept {
    tagged(trial).await?;
    let all = offered(trial.store.tags(None, 100).await)?;
    same("all tags", &all, &SORTED)
}

/// No page is longer than requested, and the next one begins after its last tag.
pub(super) async fn goes_page_by_page(trial: &Trial<'_>) -> Kept {
    tagged(trial).await?;
    for limit in [1, 2, 4, 6] {
        let (mut all, mut last): (Vec<Tag>, Option<Tag>) = (Vec::new(), None);
        loop {
            let page = offered(trial.store.tags(last.as_ref(), limit).await)?;
            ensure!(page.len() <= limit, "{} tags of {limit}", page.len());
            let Some(end) = page.last() else { break };
            ensure!(all.len() < 20, "no end to the pages of {limit} tags");
            last = Some(end.clone());
            all.extend(page);
        }
        same(&format!("pages of {limit}"), &all, &SORTED)?;
    }
    Ok(())
}

/// A page may begin behind a tag that does not exist.
pub(super) async fn begins_behind_any_tag(trial: &Trial<'_>) -> Kept {
    tagged(trial).await?;
    for (after, rest) in [("A", 2), ("a.0", 4), ("zz", 6), ("0", 0)] {
        let tags = trial.store.tags(Some(&tag(after)?), 100).await;
        let rest = SORTED.get(rest..).unwrap_or_default();
        same(&format!("tags behind {after}"), &offered(tags)?, rest)?;
    }
    Ok(())
}

async fn tagged(trial: &Trial<'_>) -> Kept {
    let manifest = image(&*trial.store, 50, "").await?;
    trial.put(&manifest, &PUT[..4]).await?;
    let other = image(&*trial.store, 51, "").await?;
    trial.put(&other, &PUT[3..]).await
}

fn same(what: &str, tags: &[Tag], expected: &[&str]) -> Kept {
    let expected = expected.iter().copied().map(tag);
    let expected = expected.collect::<Result<Vec<_>>>()?;
    ensure!(tags == expected, "{what}: {tags:?}, not {expected:?}");
    Ok(())
}
