# make repro: run the pipeline · make test: the fast tests · make help: the rest
PYTHON ?= python3
READY := .venv/.ready# written last, so its existence means that the set-up is whole

TWO_AT_ONCE := --numprocesses 2 --dist loadfile

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Without compiled modules every stage would compile some thousand files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: repro flow retrain server serve test test-all test-live check format lock help

repro: $(READY)  ## run what is out of date of the pipeline, and print what came out
	dvc --wait-for-lock repro
	assay results

flow: $(READY)  ## the same as a Prefect flow
	python -m flows.pipeline

retrain: $(READY)  ## retrain in a checkout of its own, and release what comes out
	python -m flows.retrain

server: $(READY)  ## Prefect's server, on this machine and for this machine only
	PREFECT_UI_URL=$${PREFECT_UI_URL:-http://127.0.0.1:4200} prefect server start --host 127.0.0.1 --port 4200

serve: $(READY)  ## run what prefect.yaml declares, when it is due; needs the server
	PREFECT_API_URL=$${PREFECT_API_URL:-http://127.0.0.1:4200/api} assay serve-flows

test: $(READY)  ## the fast tests
	pytest $(TWO_AT_ONCE)

test-all: $(READY)  ## the slow tests too
	pytest $(TWO_AT_ONCE) -m 'not live'

test-live: $(READY)  ## the tests that start servers and workers, and kill them
	pytest -m live

check: $(READY)  ## lint, format and types
	ruff check
	ruff format --check
	mypy

format: $(READY)  ## format, and mend what the linter can
	ruff check --fix
	ruff format

lock:  ## choose new versions within the limits of pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.lock

help:  ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 14); \
		sys.exit(None if ok else "Assay needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; make PYTHON=... names another")'
	@echo "Setting up .venv from requirements.lock: a few minutes, once"
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --no-deps --require-hashes --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)
