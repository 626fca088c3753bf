# Two commands: `make run` (start the service) and `make test` (run every test). `make help` lists the rest.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
# The first Python that really runs and is new enough: a name on the PATH may be a version manager's empty promise.
ifndef PYTHON
PYTHON := $(shell for each in python3 python3.13 python3.12 python3.11; do \
    "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$each"; break; }; done)
endif
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CATALOG := $(wildcard model_repository/*/model.json)
MODELS := $(VENV)/.models

.PHONY: docs screenshots help run test check format bench soak faults fuzz sbom audit test-containers lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: $(VENV)/.run $(MODELS) ## Set everything up and start the service on 127.0.0.1:8080
	@sh deploy/install-libturbojpeg.sh
	@exec env GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/veil serve

test: $(VENV)/.dev $(MODELS) ## Set everything up and run every test (real PostgreSQL and tritonserver included)
	@bash tests/install.sh & installing=$$!; $(MAKE) --no-print-directory lint; linted=$$?; wait $$installing && exit $$linted
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not containers"

check: $(VENV)/.dev $(MODELS) lint ## The fast gate: format, lint, types, import layers, unit tests
	-@sh tests/install-debian.sh
	$(BIN)/pytest -q -n auto --dist worksteal -m "not slow" tests/unit tests/property tests/docs

.PHONY: environment
environment: $(VENV)/.dev $(MODELS)

.PHONY: lint
lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev $(MODELS) ## Measure budget, speed and memory, beside other tools (QUICK=1: a few minutes)
	-@sh deploy/install-libturbojpeg.sh
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(PICTURES),--pictures "$(PICTURES)")

soak: $(VENV)/.dev $(MODELS) ## Half an hour at the admission limit: memory, descriptors, every answer accounted for
	$(BIN)/python -m benchmarks.soak --minutes 30

faults: $(VENV)/.dev $(MODELS) ## Kill, cut, fill and step what Veil rests on while pictures pass (root for some)
	-@sh tests/install-debian.sh
	@bash tests/triton/install.sh
	$(BIN)/python -m benchmarks.faults

fuzz: $(VENV)/.dev $(MODELS) ## Half an hour of coverage-guided fuzzing of what reads uploads
	@bash requirements/tools.sh fuzz
	$(BIN)/python -m benchmarks.fuzz --minutes 30

sbom: $(VENV)/.dev ## Write the bill of materials of what the service ships (CycloneDX) to dist/veil.cdx.json
	@bash requirements/tools.sh supply-chain
	@mkdir -p dist
	.cache/supply-chain/bin/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml \
	    --output-reproducible --output-format JSON --output-file dist/veil.cdx.json

audit: $(VENV)/.dev ## Look every pinned dependency up among the known vulnerabilities (needs the internet)
	@bash requirements/tools.sh supply-chain
	.cache/supply-chain/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements/runtime.txt

test-containers: $(VENV)/.dev $(MODELS) ## Build the image and run the compose stack for real (root and apt needed)
	$(BIN)/pytest -m containers tests/deploy

docs: $(VENV)/.dev $(MODELS) ## Write the generated reference pages and pictures
	$(BIN)/python -m docs.write_reference
	$(BIN)/python -m docs.write_images

screenshots: $(VENV)/.dev $(MODELS) ## Make the docs' pictures of the page, in a real Chromium
	-@sh tests/install-debian.sh
	SCREENSHOTS=docs/images $(BIN)/pytest -q tests/browser/test_page_screenshots.py

lock: ## Write the hash-pinned locks from pyproject.toml (needs uv)
	requirements/lock.sh

clean: ## Remove the environment, caches and built models
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(wildcard $(CATALOG:model.json=[0-9]*/model.onnx))

$(BIN)/python:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed. Name one with: make PYTHON=/path/to/python"; exit 1; }
	@echo "creating the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/.run: requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing what the service needs (about a minute)"
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing what the tests need (about a minute)"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@ $(VENV)/.run

$(MODELS): $(CATALOG) | $(VENV)/.run
	@$(BIN)/veil models build
	@touch $@
