# The commands of this project. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
# onnxruntime-gpu where an NVIDIA driver answers, onnxruntime elsewhere; `make serve ORT=cpu` chooses by hand.
ORT ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
FOLDERS := service models export training benchmarks client examples tests deploy scripts
SCRIPTS := scripts/*.sh deploy/gateway/*.sh .ci/run

.PHONY: help serve test check lint format types contracts generate references interface bench cards stack gpu-image lock sbom audit clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

serve: .venv/serve-$(ORT)  ## set up what serving needs and serve on port 8000
	$(BIN)/python -m service

test: .venv/dev  ## set up everything and run all tests
	$(BIN)/python -m pytest

check: lint types contracts test  ## what CI runs: lint, types, import contracts, tests

lint: .venv/dev  ## ruff, shellcheck and hadolint, without changing files
	$(BIN)/ruff check $(FOLDERS)
	$(BIN)/ruff format --check $(FOLDERS)
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/hadolint Dockerfile deploy/*/Dockerfile

format: .venv/dev  ## ruff, changing files
	$(BIN)/ruff check --fix $(FOLDERS)
	$(BIN)/ruff format $(FOLDERS)

types: .venv/dev  ## mypy, strict
	$(BIN)/mypy

contracts: .venv/dev  ## imports point one way
	$(BIN)/lint-imports
	cd client && ../$(BIN)/lint-imports

generate: .venv/dev  ## write what is generated: the client's sync half and its problems
	PYTHONPATH=client $(BIN)/python -m generate

references: .venv/dev  ## write what documents repeat of the code: the table of settings, the OpenAPI document
	BREAKING=$(BREAKING) $(BIN)/python scripts/references.py

interface: .venv/dev  ## what of the interface breaks clients since the last release (before the first: the last commit)
	$(BIN)/python scripts/interface.py

bench: .venv/dev  ## speed over HTTP against the bare session, in one run
	$(BIN)/python -m benchmarks.speed

cards: .venv/dev  ## README's table of models and docs/models/, after the store has changed
	$(BIN)/python -m benchmarks.cards

stack: .venv/dev  ## build the images, start the compose stack and test it; says so where no Docker engine can run
	timeout --kill-after=90 900 scripts/docker-engine.sh scripts/stack.sh || { [ $$? = 75 ] && echo "stack: skipped"; }

gpu-image:  ## build the GPU image (3 GB) and try it as far as it goes without a GPU
	scripts/docker-engine.sh scripts/gpu-image.sh

lock: .venv/bin/python  ## pin and hash what the images install; UPGRADE=--upgrade takes the newest versions
	$(PIP) uv
	for ort in cpu gpu; do $(BIN)/uv pip compile pyproject.toml --quiet --extra $$ort --extra tracing --extra video --universal --python-version 3.11 \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' $(UPGRADE) -o deploy/locks/$$ort.txt; done

sbom: .venv/bin/python  ## what the images install, as CycloneDX: dist/sbom-cpu.json, dist/sbom-gpu.json
	$(PIP) uv
	@mkdir -p dist
	for ort in cpu gpu; do $(BIN)/uv tool run --quiet --from cyclonedx-bom cyclonedx-py requirements deploy/locks/$$ort.txt \
		--output-reproducible --of JSON -o dist/sbom-$$ort.json; done

audit: .venv/bin/python  ## known vulnerabilities of what the images install (asks a public database)
	$(PIP) uv
	for ort in cpu gpu; do $(BIN)/uv tool run --quiet pip-audit --requirement deploy/locks/$$ort.txt --no-deps --disable-pip \
		--strict; done

clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info client/*.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/serve-%: .venv/bin/python pyproject.toml
	$(PIP) --editable '.[$*,video]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml client/pyproject.toml
	$(PIP) --editable '.[$(ORT),train,dev]' --editable './client[cli,testing]'
	@touch $@
