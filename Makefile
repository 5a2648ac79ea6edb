# SPDX-License-Identifier: Apache-2.0
# Thin front of CMake and tools/; `make help` lists the targets.
#
#   PORT=8080              port of `make run`
#   DATA=F.csv TARGET=col  `make run` on a file of yours instead of the simulated card payments
#   SECONDS_EACH=60        length of `make fuzz`, per target
#   SOAK_SECONDS=300       length of `make soak`
#   PRESET=tsan            `make chaos` and `make soak` on a binary with a sanitizer: tsan or asan
#   CHAOS=short            `make chaos` as `make test` runs it
#   QUICK=1                `make bench` in short rounds: does it work, not how fast is it
.DEFAULT_GOAL := build
.PHONY: build run test peers bench asan tsan fuzz chaos soak lint coverage docs format clean help

build: ## Build build/phoenix and libphoenix (installs what the build needs)
	@tools/setup build
	@tools/build release phoenix phoenix_shared phoenix_static

run: build ## Make data, train, check and serve a model on PORT, with a trickle of traffic
	@tools/setup run
	@tools/run $(if $(DATA),--data '$(DATA)') $(if $(TARGET),--target '$(TARGET)') $(if $(PORT),--port '$(PORT)')

test: ## Every test: release, address and undefined sanitizers, parity, conformance, end to end
	@tools/setup build test
	@tools/test all

asan: ## Every test under the address and undefined-behaviour sanitizers
	@tools/setup build test
	@tools/test asan

tsan: ## Every test under the thread sanitizer
	@tools/setup build test
	@tools/test tsan

peers: build ## Tests against other people's clients and servers (tests/peers); fetches a lot
	@tools/setup test peers
	@.venv/bin/python -m pytest tests/peers

fuzz: ## Run every fuzz target for SECONDS_EACH seconds
	@tools/setup build test
	@tools/fuzz $(or $(SECONDS_EACH),60)

chaos: build ## What can go wrong under load, at full length: peers, models, limits, clients, overload, settings, upgrades
	@tools/setup build test
	@CHAOS=$(or $(CHAOS),full) tools/with-preset $(or $(PRESET),release) .venv/bin/python -m pytest --timeout 3600 tests/chaos tests/e2e/test_chaos.py

soak: build ## Serve everything at once for SOAK_SECONDS, with faults; plots memory and latency, fails on growth; simulates overload first
	@tools/setup test
	@tools/simulate 60
	@tools/with-preset $(or $(PRESET),release) .venv/bin/python tools/soak --seconds $(or $(SOAK_SECONDS),300)

bench: build ## Benchmarks side by side with their peers; results in benchmarks/results
	@tools/setup run bench
	@.venv/bin/python benchmarks/run $(if $(QUICK),--quick)

lint: ## Layers, format, clang-tidy, sizes of functions and files
	@tools/setup build lint
	@tools/lint

coverage: ## Line coverage of domain and application; at least 85 %
	@tools/setup build test lint
	@tools/coverage

docs: build ## Rewrite the generated reference pages and check every link
	@tools/docs --write

format: ## Format the C sources in place
	@tools/setup lint
	@git ls-files -co --exclude-standard '*.[ch]' | xargs clang-format-14 -i

clean: ## Remove every build folder (keeps .venv and demo)
	rm -rf build build-*

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@sed -n 's/^#   /  /p' $(MAKEFILE_LIST)
