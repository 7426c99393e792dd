# make run    everything on the bundled real quotes, then predictions
# make test   linters, types, all tests
# make build  what AWS Lambda gets
# make help   the rest
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PYTHONPATH := $(CURDIR)

# The newest supported Python on the machine; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin/python "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12*/bin/python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done)
VENV ?= .venv
PY := $(VENV)/bin/python
SAM_VENV ?= .venv-sam
SAM := SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-sa-east-1} $(SAM_VENV)/bin/sam
BUILT := .aws-sam/build/template.yaml
DATA ?= data/quotes.parquet
STATE_DIR ?=
PORT ?= 5000
SERVE ?= 1
ARGS ?=

.PHONY: help setup run test lint types validate unit golden bench build sizes lock clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

setup: $(VENV)/.installed  ## the virtual environment: the locked requirements, the command b3

$(VENV)/.ready: requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.12 or 3.13 is needed; none was found. Name one with PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@$(PY) -m uv pip install --quiet --python $(PY) $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND)) --require-hashes -r requirements/dev.txt
	@touch $@

# The project itself, as it stands in this folder: `b3` then works from any folder.
$(VENV)/.installed: pyproject.toml $(VENV)/.ready
	@$(PY) -m uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

# The SAM CLI pins versions of its own, so it lives apart.
$(SAM_VENV)/.ready: requirements/sam.txt | $(VENV)/.ready
	@echo "Setting up $(SAM_VENV) ..."
	@$(PY) -m venv --clear --without-pip $(SAM_VENV)
	@$(PY) -m uv pip install --quiet --python $(SAM_VENV)/bin/python --require-hashes -r requirements/sam.txt
	@touch $@

run: setup  ## the whole stack on this machine: deploy, train, evaluate, forecast, serve (PORT= SERVE=0 DATA= STATE_DIR= ARGS="model_type=rf horizon=5")
	@exec $(PY) -m infra.run_local --data "$(DATA)" --port $(PORT) $(if $(STATE_DIR),--state-dir "$(STATE_DIR)") \
		$(if $(filter 0,$(SERVE)),--no-serve) $(ARGS)

test: setup  ## linters, types and all tests
	@$(MAKE) --no-print-directory --jobs 3 lint types validate
	@$(MAKE) --no-print-directory unit

lint: setup  ## ruff: style, imports, docstrings, security
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

types: setup  ## mypy, strict on b3shared
	@$(PY) -m mypy

validate: setup $(SAM_VENV)/.ready  ## template.yaml: sam validate --lint, cfn-lint
	@$(SAM) validate --lint
	@$(VENV)/bin/cfn-lint --non-zero-exit-code informational template.yaml

# Three processes, a thread each, keep two cores busy: some tests wait for their stack. tests/conftest.py says what stays together.
unit: setup  ## all tests (ARGS="-k split" for some, one after the other)
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(or $(ARGS),--numprocesses 3)

golden: setup  ## the guarded values of features and detection anew, after their version was raised
	@$(PY) tests/support/golden.py

bench: setup  ## benchmarks; each prints ratios measured in one run
	@for script in tests/bench/bench_*.py; do echo "== $$script"; $(PY) $$script || exit 1; done

build: $(BUILT)  ## sam build: functions and layers as AWS Lambda gets them, into .aws-sam (the image with Docker only); their sizes
	@$(PY) -m infra.packaging.sizes

# folders are prerequisites too: they change when a file is removed
$(BUILT): template.yaml samconfig.toml $(shell find b3shared functions layers infra/packaging -not -name __pycache__ -not -name '*.pyc') \
		$(patsubst %,requirements/%.txt,common data ml report serving lstm torch) .dockerignore | $(VENV)/.ready $(SAM_VENV)/.ready
	@mkdir -p .aws-sam && touch .aws-sam/started
	@echo "Building (.aws-sam/build.log) ..."
	@left_out=$$($(PY) -m infra.packaging.images) && \
		$(SAM) build $$left_out > .aws-sam/build.log 2>&1 || { cat .aws-sam/build.log; exit 1; }
	@touch -r .aws-sam/started $@  # what was edited meanwhile is newer

sizes: setup  ## unzipped sizes of what was built; fails above the bar
	@$(PY) -m infra.packaging.sizes

lock: setup  ## write the hashed lock files again from requirements/*.in
	@cd requirements && for name in dev common data ml lstm torch report serving cli local sam; do \
		constraint=$$([[ $$name == dev || $$name == sam ]] || echo "-c dev.txt"); \
		../$(PY) -m uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
			--no-header $$constraint $$name.in -o $$name.txt || exit 1; done

clean:  ## remove what make made (not STATE_DIR)
	@rm -rf $(VENV) $(SAM_VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .aws-sam
