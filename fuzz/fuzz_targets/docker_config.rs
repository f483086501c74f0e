//! Docker's `config.json` and Podman's `auth.json`: errors name the file and quote nothing of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in wharf::fuzzing::docker_config(bytes) {
        assert!(line.starts_with("config.json: "), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
});
