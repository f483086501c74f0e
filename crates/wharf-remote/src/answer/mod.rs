//! What answers of a registry mean that are no success.

mod error;
mod words;

pub(crate) use self::error::{Answered, error, error_in_words, expect, no_page, wait};
pub(crate) use self::words::is_html;
