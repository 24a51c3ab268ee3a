# What there is to do here; `just` alone lists it.

[private]
default:
    @just --list

# Format everything.
fmt:
    cargo fmt --all

# Look for mistakes without running anything.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Run the tests that need no server, or those that the arguments name.
test *arguments:
    cargo test --workspace {{ arguments }}

# Run all tests, with private servers of PostgreSQL and MariaDB and a sandbox of Azure.
test-all *arguments:
    ./test.sh {{ arguments }}

# Azure on one machine, until Ctrl-C.
sandbox *arguments:
    cargo run -p sbm-sandbox -- {{ arguments }}

# Look for inputs that break a promise, for so many seconds each; needs a nightly compiler and cargo-fuzz.
fuzz seconds="60" *targets:
    fuzz/run {{ seconds }} {{ targets }}

# Build the documentation of the code, private items included.
docs:
    cargo doc --workspace --no-deps --document-private-items

# Check licences, banned crates, sources and advisories.
deny:
    cargo deny check

# Everything that CI checks.
ci:
    .ci/run

# Show a run on a few SQLite databases.
run-local:
    cargo run -- demo
