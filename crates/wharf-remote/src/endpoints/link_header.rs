//! The `Link` header, as far as pages need it (RFC 8288, section 3).

/// The target of the first link with the relation `next`.
pub(crate) fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (_, after) = rest.split_at(start + 1);
        let (target, parameters) = after.split_once('>')?;
        let end = end_of_parameters(parameters);
        let (own, others) = parameters.split_at(end);
        if own.split(';').any(is_next) {
            return Some(target);
        }
        rest = others;
    }
    None
}

/// The end of a link's parameters: an unquoted comma.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    let comma = text.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        *letter == ',' && !quoted
    });
    comma.map_or(text.len(), |(position, _)| position)
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel")
        && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        for (header, expected) in [
            (
                r#"</v2/a?n=1&last=b>; rel="next""#,
                Some("/v2/a?n=1&last=b"),
            ),
            ("<x>;rel=next", Some("x")),
            (
                r#"<a>; rel="prev", <b>; title="x, y"; rel="first next""#,
                Some("b"),
            ),
            (r#"<a>; rel="prev""#, None),
            ("<a>", None),
            ("<a", None),
            ("", None),
        ] {
            assert_eq!(next(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(header in ".{0,80}") {
            let _ = next(&header);
        }
    }
}
