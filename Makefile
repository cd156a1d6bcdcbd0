# make demo   a sandbox cluster with a sample shop, the bot, and a conversation
# make test   everything that CI runs
GO ?= go
# Where the linter comes from; the version that .golangci.yml was written for.
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: demo test test-node unit lint bench generate manifests build sandbox servers postgres speech browser test-faults

# ARGS=--headless stays up and prints addresses; --pods N adds load.
demo: sandbox
	@mkdir -p bin
	@cd sandbox && $(GO) build -o ../bin/demo ./demo
	@exec bin/demo $(ARGS)

build:
	@mkdir -p bin
	$(GO) build -o bin/bot ./cmd/bot

# The control plane is built once and kept in the user's cache folder.
sandbox:
	@cd sandbox && $(GO) run ./build >/dev/null

# Prometheus, Loki, Jaeger and Alertmanager, one after the other: 15 to 20 minutes
# on two cores the first time, nothing later.
servers: sandbox
	@cd sandbox && $(GO) run ./build servers >/dev/null

# Debian's package, where it is missing and can be installed.
postgres:
	@internal/postgrestest/install.sh

# The programs that hear and speak, where they are missing and can be installed.
speech:
	@internal/speech/offline/install.sh

# Debian's Chromium, for the tests of the web console.
browser:
	@e2e/browser/install.sh

# Without a cluster: seconds.
unit:
	$(GO) test -short ./...

# -count=1: the tests start programs that the cache of test results knows nothing of.
test: servers postgres speech browser
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 40m ./...
	cd sandbox && $(GO) test -count=1 -timeout 20m -gcflags=all=-dwarf=false ./...
	cd sandbox/parity && $(GO) test -count=1 -timeout 15m -gcflags=all=-dwarf=false ./...
	cd deploy/render && $(GO) vet ./...
	$(MAKE) --no-print-directory test-node
	$(MAKE) --no-print-directory lint

# Every fault that shows in traffic, on and off again: a quarter of an hour.
test-faults: servers
	cd sandbox && SANDBOX_FAULTS=all $(GO) test -count=1 -timeout 40m -gcflags=all=-dwarf=false -run TestFaults -v ./e2e

# The roll-out under load on a real node; as root, on Linux. Says so where it cannot be.
test-node: sandbox
	@e2e/node/run.sh

lint:
	$(GO) run $(LINT) run ./...

# Everything in bench/RESULTS.md; takes long: bench/run.sh NAME measures one part.
bench: sandbox build
	bench/run.sh

# Files made from others; a test fails where they are stale.
generate:
	$(GO) run ./cmd/bot config > docs/config.example.yaml
	$(GO) run ./docs/generate > docs/sentences.md

# The chart as plain manifests, made by Helm's own engine.
manifests:
	cd deploy/render && $(GO) run . -plain ../helm/firstmate > ../manifests/firstmate.yaml
	cd deploy/render && $(GO) run . -plain ../helm/firstmate ../manifests/postgres.values.yaml > ../manifests/firstmate-postgres.yaml
