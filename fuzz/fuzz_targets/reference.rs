//! Names of all kinds: a parsed name can be printed and parsed again, and is then equal.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use wharf_oci::{Digest, MediaType, Platform, Reference, Registry, Repository, Selector, Tag};

fuzz_target!(|text: &str| {
    round_trip::<Reference>(text);
    round_trip::<Repository>(text);
    round_trip::<Registry>(text);
    round_trip::<Selector>(text);
    round_trip::<Digest>(text);
    round_trip::<Tag>(text);
    round_trip::<MediaType>(text);
    // A platform is printed for people, and cut if it is too long.
    match text.parse::<Platform>() {
        Ok(platform) => assert!(!platform.to_string().contains(char::is_control)),
        Err(error) => is_line(&error),
    }
    let verbatim = MediaType::verbatim(text);
    assert_eq!(verbatim.as_str(), text);
    assert!(!verbatim.to_string().contains(char::is_control));
    if let Ok(media_type) = MediaType::from_content_type(text) {
        round_trip::<MediaType>(media_type.as_str());
    }
});

fn round_trip<T>(text: &str)
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            let again = printed.parse::<T>();
            assert_eq!(again.ok().as_ref(), Some(&value), "{printed}");
        }
        Err(error) => is_line(&error),
    }
}

fn is_line(error: &impl Display) {
    let line = error.to_string();
    assert!(
        !line.is_empty() && !line.contains(char::is_control),
        "{line:?}"
    );
}
