# make repro: run the pipeline · make test: the fast tests · make help: the rest
PYTHON ?= python3
READY := .venv/.ready# written last, so its existence means that the set-up is whole

SHELL := bash
# Of pip's lines, of which there are hundreds; all of them stay in .venv/set-up.log.
FEW := /^Collecting/ && ++n % 50 == 0 { print n, \"packages are here\"; fflush() } \
	/^Installing collected/ { print \"installing them: a minute or two\"; fflush() }

TWO_AT_ONCE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Without compiled modules every stage would compile some thousand files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: repro same-bytes flow retrain server serve-flows upgrade test test-all test-live check format lock help

repro: $(READY)  ## run what is out of date of the pipeline, and print what came out
	dvc --wait-for-lock repro
	assay results

same-bytes: $(READY)  ## whether what lies here has the bytes of the last commit, and on which processor
	python -m benchmarks.same_bytes

flow: $(READY)  ## the same as a Prefect flow
	python -m flows.pipeline

retrain: $(READY)  ## retrain in a checkout of its own, and release what comes out
	python -m flows.retrain

server: $(READY)  ## Prefect's server, on this machine and for this machine only
	PREFECT_UI_URL=$${PREFECT_UI_URL:-http://127.0.0.1:4200} prefect server start --host 127.0.0.1 --port 4200

serve-flows: $(READY)  ## run what prefect.yaml declares, when it is due; needs the server
	PREFECT_API_URL=$${PREFECT_API_URL:-http://127.0.0.1:4200/api} assay serve-flows

test: $(READY)  ## the fast tests
	pytest $(TWO_AT_ONCE)

test-all: $(READY)  ## the slow tests too
	pytest $(TWO_AT_ONCE) -m 'not large and not live'

test-live: $(READY)  ## the tests that start servers and workers, and kill them, and the largest networks
	pytest -m 'large or live'

check: $(READY)  ## lint, format, directions and types
	ruff check
	ruff format --check
	lint-imports --no-cache
	mypy

format: $(READY)  ## format, and mend what the linter can
	ruff check --fix
	ruff format

upgrade: $(READY)  ## merge what the git remote `assay` has; what this project made stays its own
	git fetch assay
	git -c merge.mine.driver=true -c merge.params.driver='python -m assay.operations.params_merge %O %A %B' \
		merge --no-edit assay/main

lock:  ## choose new versions within the limits of pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.lock

help:  ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 14); \
		sys.exit(None if ok else "Assay needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; make PYTHON=... names another")'
	@echo "Setting up .venv from requirements.lock: a few minutes, once"
	$(PYTHON) -m venv --clear .venv
	@set -o pipefail; .venv/bin/python -m pip install --progress-bar off --disable-pip-version-check --no-deps \
		--no-compile --require-hashes --requirement requirements.lock 2>&1 | tee .venv/set-up.log | awk "$(FEW)" \
		|| { tail -n 20 .venv/set-up.log; exit 1; }
	@echo "compiling them"  # which pip does too, with one core
	@.venv/bin/python -m compileall -q -j 0 .venv/lib || true
	@.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)
