//! The `Warning` header: its texts are not empty, and within their bound.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    for text in wharf::fuzzing::warnings(header) {
        assert!(!text.is_empty() && text.chars().count() <= 500);
    }
});
