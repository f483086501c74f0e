//! The answer of a token server: a token fits into a header, and lives a year at most.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Some((token, seconds)) = wharf::fuzzing::token_answer(body) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(seconds <= 366 * 24 * 3600);
    }
});
