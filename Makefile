# Spotter's development commands.  systemd/packages.sh lists the system packages that they need.

PYTHON ?= $(shell sh systemd/packages.sh --python)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Keep compiled code, whatever the shell sets: without it every start compiles the agent again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo demo-facility test test-packages coverage check accuracy bench contract soak lock docs pictures sample reference messages events wheelhouse deb release clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create or update .venv, and nothing else

$(READY): requirements-dev.lock pyproject.toml systemd/packages.sh
	@sh systemd/packages.sh station
	@test -x $(BIN)/python || $(PYTHON) -I -m venv $(VENV) || \
	    { echo "the virtual environment $(VENV) could not be created; see above" >&2; rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV) (about 800 MB, a minute on a fast connection) ..."
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    -r requirements-dev.lock
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --no-deps \
	    --no-build-isolation --editable .
	@touch $@

demo: setup ## Run the full pipeline once, offline
	@$(BIN)/spotter demo

demo-facility: setup ## Run a hub, three stations and two workers, and kill the broker
	@$(BIN)/spotter demo --facility

test: test-packages setup ## Run the whole test suite, after installing what it needs
	@$(BIN)/pytest -n auto --dist worksteal

test-packages:
	@sh systemd/packages.sh station test

coverage: test-packages setup ## Measure which lines the tests run, of a part with TESTS=FOLDER
	@$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered --cov-report=html \
	    $(if $(TESTS),$(TESTS),--cov-fail-under=90)

check: setup ## Lint, types, dead code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/vulture

accuracy: setup ## Measure how well takes are found: drawn recordings, and FOOTAGE=DIR with labels, GRAIN=N times more, VARIANTS=yes
	@$(BIN)/python -m tests.accuracy $(if $(FOOTAGE),--footage "$(FOOTAGE)") $(if $(GRAIN),--grain $(GRAIN)) $(if $(VARIANTS),--variants)

bench: setup ## Print the measured ratios that the README quotes
	@$(BIN)/python -m tests.bench

contract: setup ## Compare the agent's assumptions with the vendor's API description: CONTRACT=FILE
	@$(BIN)/python -m tests.contract $(CONTRACT)

soak: setup ## Run the long fault-injection tests
	@$(BIN)/pytest -m soak --timeout 7200

pictures: setup ## Take the README's screenshots of the page, in a real browser
	@$(BIN)/python -m tests.browser.pictures

sample: setup ## Generate config/station.sample.toml from the settings model
	@$(BIN)/python -m agent.settings.generate > config/station.sample.toml

reference: setup ## Generate docs/settings.md from the settings model
	@$(BIN)/python -m agent.settings.generate reference > docs/settings.md

messages: setup ## Bring the page's translations up to date with its texts, and compile them
	@$(BIN)/python -m tests.messages

events: setup ## Generate docs/log-events.md from the code and its table of meanings
	@$(BIN)/python -m tests.tools.log_events

DOCS := build/docs
docs: ## Build the documentation as a site in build/site; a missing page or link is an error
	@test -x $(DOCS)/bin/python || $(PYTHON) -I -m venv $(DOCS)
	@$(DOCS)/bin/python -I -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    -r requirements-docs.lock
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -I -m mkdocs build --quiet --strict --config-file config/docs/mkdocs.yml
	@echo "build/site/index.html"

# Only this needs uv; pyproject's override excludes the second OpenCV.
LOCK := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --quiet
lock: ## Resolve and lock the dependencies
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) pyproject.toml --extra hub -o requirements.lock
	$(LOCK) pyproject.toml --extra dev --extra hub -o requirements-dev.lock
	$(LOCK) config/docs/requirements.in -o requirements-docs.lock
	@{ echo "# What builds the agent's wheel, as in requirements-dev.lock; written by \`make lock\`."; \
	    awk '/^[a-z]/ {inside = /^setuptools==/} inside && !/^ *#/' requirements-dev.lock; } > requirements-build.lock

wheelhouse: setup ## Create the folder from which install.sh installs without a network
	@rm -rf wheelhouse build
	@echo "collecting wheels for this Python and this kind of processor ..."
	@$(BIN)/python -I -m pip download --quiet --disable-pip-version-check --only-binary :all: --no-deps \
	    --require-hashes -r requirements.lock --dest wheelhouse
	@$(BIN)/python -I -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --wheel-dir wheelhouse .
	@du -sh wheelhouse

deb: setup ## Build the Debian packages dist/spotter-agent_*.deb: ARCHITECTURES="amd64 arm64"
	@for arch in $(or $(ARCHITECTURES),amd64 arm64); do config/debian/build.sh $$arch dist || exit 1; done

release: setup ## Check this tree and build a release in dist/VERSION: TESTED=yes, REHEARSAL=yes
	@config/release.sh

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov *.egg-info build
