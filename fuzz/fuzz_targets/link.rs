//! The `Link` header: its target is a part of the header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    if let Some(target) = wharf::fuzzing::link(header) {
        assert!(header.contains(&format!("<{target}>")));
    }
});
