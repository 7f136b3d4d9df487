# Spotter: what a person types.  Needs Python 3.11 or later with its venv module, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Compiled code is kept, whatever the shell says: without it every start compiles the agent anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test check accuracy bench soak lock pictures sample reference wheelhouse clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make or update .venv, and nothing else

$(READY): requirements-dev.lock pyproject.toml systemd/check-libraries.sh
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Spotter needs Python 3.11 or later with venv: apt install python3-venv" >&2; exit 1; }
	@sh systemd/check-libraries.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	    { echo "no virtual environment: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV) (about 800 MB, a minute on a good line) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --no-build-isolation --editable .
	@touch $@

demo: setup ## Run the whole job once, offline
	@$(BIN)/spotter demo

test: setup ## Run the whole test suite
	@$(BIN)/pytest -n auto --dist worksteal

check: setup ## Lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

accuracy: setup ## Measure how well takes are found, on captures whose truth is known
	@$(BIN)/python -m tests.accuracy

bench: setup ## Print the measured ratios that the README quotes
	@$(BIN)/python -m tests.bench

soak: setup ## Run the long fault tests
	@$(BIN)/pytest -m soak --timeout 7200

pictures: setup ## Take the README's pictures of the page, in a real browser
	@$(BIN)/python -m tests.browser.pictures

sample: setup ## Write config/station.sample.toml anew from the settings model
	@$(BIN)/python -m agent.settings > config/station.sample.toml

reference: setup ## Write docs/settings.md anew from the settings model
	@$(BIN)/python -m agent.settings reference > docs/settings.md

# uv is needed for this alone; the second OpenCV is kept out by pyproject's override.
LOCK := uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header \
    --python-version 3.11 --quiet
lock: ## Resolve the dependencies anew
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) -o requirements.lock
	$(LOCK) --extra dev -o requirements-dev.lock

wheelhouse: setup ## Make the folder from which install.sh installs without a network
	@rm -rf wheelhouse
	@echo "collecting wheels for this Python and this kind of processor ..."
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --only-binary :all: --no-deps \
	    --require-hashes -r requirements.lock --dest wheelhouse
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --wheel-dir wheelhouse .
	@du -sh wheelhouse

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
