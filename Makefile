# Two commands do everything: `make demo` and `make test`. Each fetches what it needs, once.
PREFIX ?= $(HOME)/.local
TARGET := $(or $(CARGO_TARGET_DIR),target)
LIBRARY := $(if $(filter Darwin,$(shell uname -s)),libduckdb.dylib,libduckdb.so)

.PHONY: emulators terminal demo test check build install dist bench bench-change-points bench-collect bench-dash bench-engines bench-large bench-lint extensions library

library:
	@python3 .ci/fetch-duckdb

# What a `ducklake:` database needs of DuckDB.
extensions:
	@python3 .ci/fetch-extensions

# LocalStack, moto and PostgreSQL, which tests start, and what reads our exports; outside the clone, once.
emulators:
	@for name in localstack moto readers focus spark postgres; do python3 .ci/emulators $$name > /dev/null || exit 1; done

# tmux, which drives the dashboard in a test; where it can neither be found nor fetched, that test says so.
terminal:
	@sh .ci/fetch-tmux

build: library
	cargo build --release --locked -p stepscope

# A made-up day of three machines in the dashboard; without a terminal it prints the overview.
demo: build
	@$(TARGET)/release/stepscope demo

# Every test. The binary comes first: the end-to-end tests run it.
test: library extensions emulators terminal
	cargo build --locked --workspace --bin stepscope --test stepscope
	cargo test --locked --workspace

# What CI asks for beyond the tests.
check: library
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Binary and library, to be found from any folder.
install: build
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib"
	install -m 755 $(TARGET)/release/stepscope "$(DESTDIR)$(PREFIX)/bin/stepscope"
	install -m 644 $$(ls $(TARGET)/duckdb-download/$(HOST)/*/$(LIBRARY) | tail -n 1) "$(DESTDIR)$(PREFIX)/lib/$(LIBRARY)"

# An archive: binary, library, completions, manual pages, licence, with its checksum. TRIPLE=aarch64-unknown-linux-gnu makes
# one for another platform, linked by zig from PyPI; those of Apple need SDKROOT, the folder of Apple's SDK, or a Mac.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
TRIPLE ?= $(HOST)
NAME := stepscope-$(VERSION)-$(TRIPLE)
BUILT := $(if $(filter $(HOST),$(TRIPLE)),$(TARGET)/release,$(TARGET)/$(TRIPLE)/release)
dist: build
ifneq ($(TRIPLE),$(HOST))
	rustup target add "$(TRIPLE)"
	python3 .ci/fetch-duckdb "$(TRIPLE)"
	PATH="$$(dirname "$$(python3 .ci/emulators cross)"):$$PATH" cargo zigbuild --release --locked -p stepscope --target "$(TRIPLE)"
endif
	@rm -rf "dist/$(NAME)" && mkdir -p "dist/$(NAME)/completions" "dist/$(NAME)/man"
	@cp "$(BUILT)/stepscope" README.md LICENSE CHANGELOG.md "dist/$(NAME)/"
	@cp $(TARGET)/duckdb-download/$(TRIPLE)/*/libduckdb.* "dist/$(NAME)/"
	@for shell in bash zsh fish; do "$(TARGET)/release/stepscope" completions $$shell > "dist/$(NAME)/completions/stepscope.$$shell"; done
	@"$(TARGET)/release/stepscope" man "dist/$(NAME)/man"
	@tar -C dist -czf "dist/$(NAME).tar.gz" "$(NAME)"
	@cd dist && (sha256sum "$(NAME).tar.gz" 2> /dev/null || shasum -a 256 "$(NAME).tar.gz") > "$(NAME).tar.gz.sha256"
	@cat "dist/$(NAME).tar.gz.sha256"

# Imports a gigabyte of generated logs and prints ratios against DuckDB and a Python script on the same file; then critical
# paths against CRISP, and a what-if sweep.
bench: build extensions
	@python3 tests/bench/bench.py import $(TARGET)/release/stepscope
	@python3 tests/bench/bench.py analysis $(TARGET)/release/stepscope
	@python3 tests/bench/lake.py ingest $(TARGET)/release/stepscope

# The collector against the stand-in for AWS: allowance used, CPU and memory while following, age of the newest event.
bench-collect: build
	cargo build --release --locked -p stepscope-tests --example stand-in
	@python3 tests/bench/collect.py $(TARGET)/release/stepscope $(TARGET)/release/examples/stand-in

# The dashboard: frames, keys, an idle one, from an event to the screen, and a refresh over a hundred times the visits.
bench-dash: build
	cargo build --release --locked -p stepscope-tests --example stand-in
	@python3 tests/bench/dash.py $(TARGET)/release/stepscope $(TARGET)/release/examples/stand-in

# Change points against Apache Otava on the same series.
bench-change-points: build
	@python3 tests/bench/change_points.py $(TARGET)/release/stepscope

# Definitions of others under stepscope, asl-validator and cfn-lint.
bench-lint: build
	@python3 tests/bench/lint.py $(TARGET)/release/stepscope

# All reports over ten million events on a single file, on DuckLake and on Spark.
bench-engines: build extensions
	@python3 tests/bench/lake.py engines $(TARGET)/release/stepscope

# Reports over a hundred million visits that SQL makes up.
bench-large: build
	@python3 tests/bench/bench.py large $(TARGET)/release/stepscope
