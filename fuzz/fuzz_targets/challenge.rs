//! `WWW-Authenticate`, one header per line: the chosen challenge must survive being remembered and
//! read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let headers: Vec<&str> = text.lines().collect();
    if let Some(kept) = wharf::fuzzing::challenge(&headers) {
        assert_eq!(
            wharf::fuzzing::challenge(&[&kept]).as_deref(),
            Some(kept.as_str())
        );
    }
});
