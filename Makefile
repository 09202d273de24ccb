# `make demo` and `make test` need nothing but Python 3.11: they make .venv and install what is pinned.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= demo-study
RATER ?= alice

.PHONY: help demo test check faults bench serve notebooks format clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

demo: .venv/ready ## build a synthetic warehouse, run every stage on it, end with the report
	$(BIN)/qcbench demo $(STUDY)

test: check .venv/browser .venv/postgres .venv/mriqc ## style, import contracts, then every test, the browser and the notebooks among them
	$(BIN)/pytest --numprocesses=2 --dist=loadfile --durations=15

check: .venv/ready ## style and import contracts only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

faults: .venv/browser .venv/postgres ## the long fault campaigns: 200 kills while labels are saved, the network gone for minutes
	QCBENCH_LONG_FAULTS=1 $(BIN)/pytest --durations=10 --log-cli-level=INFO tests/faults tests/browser/test_label_faults.py tests/records/test_described.py tests/records/test_server.py

bench: .venv/browser .venv/postgres ## time and memory beside what a user would write by hand, one table out
	$(BIN)/python -m benchmarks

serve: .venv/ready ## open the labeller on the demo study: make serve STUDY=... RATER=...
	$(BIN)/qcbench label $(STUDY) --rater $(RATER)

notebooks: .venv/ready ## run the notebooks from top to bottom
	$(BIN)/pytest tests/test_notebooks.py

format: .venv/ready ## rewrite the code in the one style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and everything that tests leave behind
	rm -rf .venv .venv-mriqc test-artefacts .pytest_cache .hypothesis .ruff_cache .import_linter_cache

.venv/ready: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# Real browsers drive the widgets. Debian's Chromium is installed when it is missing and we may.
.venv/browser: .venv/ready
	@command -v chromium >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  || { echo 'The browser tests need Chromium: install it (Debian: apt-get install chromium).' >&2; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
	@# Proxies before the server of all raters; without them their tests skip and say so.
	@{ command -v nginx && command -v caddy; } >/dev/null || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null \
	  || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light caddy openssl >/dev/null
	touch $@

# The records database is tested on both of its engines.
.venv/postgres: .venv/ready
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  || { echo 'The records tests need PostgreSQL: install it (Debian: apt-get install postgresql).' >&2; exit 1; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }
	touch $@

# MRIQC's own client posts to our server, from an environment of its own: its pins are not ours.
.venv/mriqc: .venv/ready
	test -x .venv-mriqc/bin/python || $(PYTHON) -m venv .venv-mriqc
	.venv-mriqc/bin/python -m pip install --disable-pip-version-check --quiet --no-deps mriqc==24.0.2
	.venv-mriqc/bin/python -m pip install --disable-pip-version-check --quiet nipype==1.11.0 orjson requests
	touch $@
