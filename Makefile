# The front door: each target does all of the set-up that it needs. CMake does the building.
.PHONY: run test build bench fuzz format clean help

run: ## train the digits example: compile it to a native executable and run that
	@scripts/install-deps
	@scripts/build dnnc dnn_runtime_main
	@scripts/run-example

test: ## run the whole test suite; ends with `N passed, N failed`
	@scripts/install-deps
	@scripts/build
	@scripts/run-tests

build: ## build everything
	@scripts/install-deps
	@scripts/build

bench: ## measure dnnc beside PyTorch and JAX on this machine, and write the tables of docs/performance.md
	@bench/run

fuzz: ## build the libFuzzer targets and run each for a minute (FUZZ_SECONDS=600 for ten)
	@scripts/install-deps --fuzz
	@scripts/run-fuzzers

format: ## format the C++ sources
	@scripts/install-deps --format
	@git ls-files '*.cpp' '*.h' | xargs clang-format-22 -i

clean: ## remove what was built, but keep the downloaded Halide
	@rm -rf build/release build/debug build/asan build/fuzz

help: ## this list
	@sed -n 's/^\([a-z]*\): ## /  make \1\t/p' Makefile
