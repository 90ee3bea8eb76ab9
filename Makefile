# Everything lives in .make/ and .tox/; `make clean` removes both. Needed on the machine: make, Python 3.11 or newer with venv.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first of these that is new enough and can make environments; PYTHON=... chooses another.
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3 python
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(CANDIDATES); do "$$name" -c '$(SUITABLE)' 2>/dev/null && { command -v "$$name"; break; }; done)

TOX := .make/tox/bin/tox
DEMO := .make/demo/bin/python

.PHONY: help demo test lint pages bench clean python

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s%s\n", $$1, $$2 }' Makefile
	@echo 'Arguments: make demo ARGS="--kill-one", make test ARGS="-k ids tests", make bench ARGS="--quick".'

demo: $(DEMO) ## hash thousands of files as jobs on SQLite and check the result
	$(DEMO) examples/checksums.py $(ARGS)

test: $(TOX) ## lint and every test
	$(TOX) run -e lint,test -- $(ARGS)

lint: $(TOX) ## style, types and the direction of imports
	$(TOX) run -e lint

pages: $(TOX) ## write the pages that are drawn from the code
	$(TOX) run -e test -x "testenv:test.commands=python tests/pages/write.py"

bench: $(TOX) ## measure against peers and against the engine's own limit
	$(TOX) run -e bench -- $(ARGS)

clean: ## remove what was built
	rm -rf .make .tox build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src backends tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

python:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11 or newer with venv was found (tried: $(CANDIDATES)). Install one (on Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python …' >&2; exit 1; }

$(TOX): | python
	"$(PYTHON)" -m venv --clear .make/tox
	.make/tox/bin/python -m pip install --quiet 'tox>=4.67'

# Made again when the dependencies change; an editable install takes changed sources as they are.
$(DEMO): pyproject.toml | python
	"$(PYTHON)" -m venv --clear .make/demo
	.make/demo/bin/python -m pip install --quiet --editable .
	@touch $(DEMO)
