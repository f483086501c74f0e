# Short names for the commands of the README; `just` lists them.

_list:
    @just --list

# Every test; arguments go to `cargo test`
test *arguments:
    cargo xtask test {{arguments}}

# Format, lints, documentation
check:
    cargo xtask check

# Format every file
format:
    cargo xtask format

# Push the example into the embedded registry
hello:
    cargo run --release --locked -- push examples/hello

# Serve the embedded registry
serve *arguments:
    cargo run --release --locked -- registry serve {{arguments}}

# Every fuzz target, or those named, for this many seconds; needs `cargo install cargo-fuzz --locked`
fuzz seconds="60" *targets:
    cargo xtask fuzz {{seconds}} {{targets}}

# The binary, pages of the manual and completions, in target/dist
dist:
    cargo xtask dist

# Compare wharf with skopeo: medians and ratios
bench:
    cargo xtask bench
