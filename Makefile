# The text after ## is what `make help` says about a target.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# A fresh machine may have Go where its tarball puts it, and not on PATH.
export PATH := $(PATH):/usr/local/go/bin
# The toolchain that is here is the one that is used; nothing is downloaded on the side.
export GOTOOLCHAIN := local

FUZZTIME ?= 20s
# make bench BENCHFLAGS='--scenario send,rate,acks,idle' leaves out the storm and the large group, whose 10,000 accounts take minutes.
BENCHFLAGS ?=
# make growth GROWTHFLAGS='--dimension mailboxes --sizes 10000,100000' is a part of it; all of it takes half an hour and 15 GB of disk.
GROWTHFLAGS ?=
# make chaos CHAOSFLAGS='--fault kill-node --cycles 300 --seed 1'; docs/reliability.md has the rest.
CHAOSFLAGS ?=
# make test PACKAGES=./service tests one package.
PACKAGES ?= ./...
GOLANGCI_VERSION := $(shell sed -n 's,^.*github.com/golangci/golangci-lint/v2 \(v[0-9.]*\).*,\1,p' tools/go.mod)
GOVULNCHECK_VERSION := $(shell sed -n 's,^.*golang.org/x/vuln \(v[0-9.]*\).*,\1,p' tools/go.mod)
# Tools are built once per version: golangci-lint takes minutes.
TOOLS := .cache/tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)
WITHSERVERS := $(TOOLS)/withservers
# Tests of what is written and not of what it does: in lint, and not once more in test.
WEBLINT := ^Test(Types|ChatIsFresh|AdminIsFresh)$$

# $(call need,PROGRAM,DEBIAN PACKAGES): what cannot come as a Go module is installed by root, or asked for.
define need
command -v $(1) >/dev/null || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 $(2); \
	else \
		echo "$(1) is missing; install it (Debian, Ubuntu: sudo apt-get install $(2))" >&2; exit 1; \
	fi; }
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve on http://127.0.0.1:8080, with an embedded database and Redis; data in ./data
	go run .

.PHONY: env
env: ## Write .env for docker-compose.yml, with random secrets
	deploy/make-env

.PHONY: build
build: ## Build the static binary bin/ackbox
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ackbox .

# What is not ours, does nothing at the same time as itself and would take most of a test's time under the race detector
# is not watched by it: C that was translated to Go, hashes and compression.
UNWATCHED := modernc.org/sqlite/lib modernc.org/libc modernc.org/memory golang.org/x/crypto/argon2 golang.org/x/crypto/blake2b compress/flate compress/gzip

.PHONY: test
test: export GOFLAGS := $(GOFLAGS) $(foreach package,$(UNWATCHED),'-gcflags=$(package)=-race=false -d=checkptr=0')
test: $(WITHSERVERS) ## Run all tests with the race detector, on a MariaDB and a Redis that it starts (root: installs them if missing)
	@$(call need,gcc,gcc libc6-dev)
	@$(call need,npm,nodejs npm)
	@command -v "$${CHROMIUM:-chromium-headless-shell}" chromium >/dev/null || ($(call need,chromium-headless-shell,chromium-headless-shell)) || { $(call need,chromium,chromium); }
	CGO_ENABLED=1 $(WITHSERVERS) -- go test -race -timeout=20m -skip='$(WEBLINT)' $(PACKAGES)

# Rounds of soak: make soak ROUNDS=100000.
ROUNDS ?= 10000

.PHONY: soak
soak: $(WITHSERVERS) ## Race sends against people who come and go, in ROUNDS (10,000) rounds on each backend
	ACKBOX_TEST_ROUNDS=$(ROUNDS) $(WITHSERVERS) -- go test ./service -run=TestMembership -count=1 -timeout=2h -v

.PHONY: lint
lint: $(GOLANGCI) ## Check formatting, vet, imports and style; modules; compose file and Dockerfile; the pages' types and builds
	@unformatted=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs -r ls -d 2>/dev/null | xargs -r gofmt -l); \
		[ -z "$$unformatted" ] || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	$(GOLANGCI) run ./...
	go mod verify
	go test ./internal/deploycheck
	@$(call need,npm,nodejs npm)
	go test ./web -run='$(WEBLINT)'

.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look for known vulnerabilities; says SKIPPED when the database cannot be reached
	@tools/vuln $(GOVULNCHECK)

.PHONY: bench
bench: $(WITHSERVERS) ## Measure sends, pushes, acks, reconnects and idle connections against MariaDB and Redis
	go build -o $(TOOLS)/suite ./bench/cmd/suite
	$(WITHSERVERS) -- $(TOOLS)/suite $(BENCHFLAGS)
	$(WITHSERVERS) -- go test ./service -run='^$$' -bench='^BenchmarkWriter$$' -benchtime=100000x -count=3

.PHONY: growth
growth: ## Measure how cost grows with stored users, group size, open sockets and nodes: tables and a plot in bench-out/growth
	go build -buildvcs=false -o $(TOOLS)/growth ./bench/cmd/growth
	$(TOOLS)/growth $(GROWTHFLAGS)

.PHONY: chaos
chaos: ## Break nodes and stores under load, and check that nothing was lost (CHAOSFLAGS='--fault list' says what there is)
	go build -buildvcs=false -o $(TOOLS)/chaos ./chaos/cmd/chaos
	$(TOOLS)/chaos $(CHAOSFLAGS)

# make mutants MUTANTS=early-push,no-after-id; go run ./mutants -list says what there is.
MUTANTS ?=

.PHONY: mutants
mutants: $(WITHSERVERS) ## Break one rule of the server at a time, and show that the suites notice
	go build -buildvcs=false -o $(TOOLS)/mutants ./mutants
	$(WITHSERVERS) -- $(TOOLS)/mutants -only '$(MUTANTS)'

.PHONY: fuzz
fuzz: $(WITHSERVERS) ## Run each fuzz target for FUZZTIME (20s)
	$(WITHSERVERS) -- tools/fuzz $(FUZZTIME)

.PHONY: web
web: ## Build the client package and the two pages again (web/chat/dist and web/admin/dist are committed and embedded)
	@$(call need,npm,nodejs npm)
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run build

.PHONY: generate
generate: ## Write the generated files again
	go generate ./...

.PHONY: clean
clean: ## Remove what the build, the tests and the tools have made (not ./data)
	rm -rf bin .cache bench-out chaos-out

# Built and not `go run`: that one keeps signals and exit codes to itself. The build is instant when nothing has changed.
.PHONY: $(WITHSERVERS)
$(WITHSERVERS):
	@go build -buildvcs=false -o $@ ./internal/testenv/cmd/withservers

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION): some minutes, once"
	@mkdir -p $(TOOLS) && go build -buildvcs=false -modfile=tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(GOVULNCHECK):
	@mkdir -p $(TOOLS) && go build -buildvcs=false -modfile=tools/go.mod -o $@ golang.org/x/vuln/cmd/govulncheck
