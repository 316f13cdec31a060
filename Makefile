# Two commands matter: `make up` runs the product, `make test` tests it. Both set up what they need.

.PHONY: help up test build check format bench clean node
.DEFAULT_GOAL := help
# A build that failed half-way must not look done.
.DELETE_ON_ERROR:

# Directories are among them, so that a source that was removed counts as a change too.
SOURCES := $(shell find src lua ui scripts/build.mjs tsconfig.json tsconfig.build.json 2>/dev/null)
PACKAGES := node_modules/.package-lock.json
BUILT := dist/cli.js

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

up: $(BUILT) ## Set up and run the product: API, worker and console
	@exec ./scripts/up.sh

test: $(BUILT) ## Run all tests; ARGS go to jest: make test ARGS="test/unit"
	@exec ./scripts/test.sh $(ARGS)

build: $(BUILT) ## Build dist/

check: $(BUILT) ## Check format, types, imports, and that generated files are up to date
	@exec ./scripts/check.sh

format: $(PACKAGES) ## Format the sources and mend what can be mended
	@npm run --silent format

bench: $(BUILT) ## Measure what docs/performance.md says
	@./scripts/require-redis.sh
	@npm run --silent bench

clean: ## Remove what was built and installed; .env and .data stay
	rm -rf dist node_modules coverage

# Asked each time, as an older Node.js may have taken the place of the one that built.
node:
	@./scripts/require-node.sh

$(PACKAGES): package-lock.json | node
	npm ci --no-audit --no-fund
	@touch $@

$(BUILT): $(PACKAGES) $(SOURCES) | node
	npm run --silent build
	@touch $@
