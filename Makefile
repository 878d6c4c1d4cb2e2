# The README's two commands are `make demo` and `make test`. Each makes .venv and installs all it needs.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := .[all]
# One test process a core, each with one thread: half the time of one process with two.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-full faults abuse planted lint sample clean lock compat build sbom release-check

demo: .venv/.installed
	$(BIN)/polyrefuse demo --out runs/demo

test: .venv/.installed-dev lint planted
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-full: .venv/.installed-dev lint planted
	$(PYTEST) $(PYTEST_ARGS)

# Every fault on purpose, in full; writes docs/reliability.md. FAULTS_SEED=N runs the same again.
FAULTS_SEED ?= $(shell date +%s)
faults: .venv/.installed-dev planted
	rm -f .faults.jsonl
	POLYREFUSE_FAULTS=full POLYREFUSE_FAULT_SEED=$(FAULTS_SEED) POLYREFUSE_FAULT_TALLY=$(CURDIR)/.faults.jsonl \
		OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist load tests/faults $(PYTEST_ARGS)

# Hostile input: coverage of the parsers (at least 95% of lines), then the whole suite at length.
abuse: .venv/.installed-dev planted
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.abuse.parser_coverage
	ABUSE_EXAMPLES=10000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist load \
		--timeout=3600 tests/abuse

# What the tests share is trained before them, one model a core, unless it is cached.
TRAIN := import sys; from polyrefuse_evaluation import load_model; load_model(sys.argv[1], seed=int(sys.argv[2]))
planted: .venv/.installed-dev
	printf '%s\n' "planted:two 0" "planted:none 0" "planted 0" "planted 1" "planted:residual 0" | \
		xargs -P $(WORKERS) -L 1 $(BIN)/python -c "$(TRAIN)"

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

sample: .venv/.installed
	$(BIN)/python -m polyrefuse_builders.sample

# torch goes first and alone, pinned: otherwise a range may bring the CUDA build of several GB.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable "$(EXTRAS)"
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	touch $@

# The lock, from pyproject.toml: UPGRADE=1 takes the newest releases, UPGRADE=name,name only theirs.
lock: .venv/.installed-dev
	$(BIN)/python -m docs.release.lock --upgrade "$(UPGRADE)"

# The wheel on the oldest and the newest dependencies (about 12 GB under .compat/, where the index
# offers torch with CUDA only); writes docs/compatibility.md.
compat: .venv/.installed-dev
	$(BIN)/python -m docs.release.compat

build: .venv/.installed-dev
	rm -rf dist
	$(BIN)/python -m docs.release.build

sbom: .venv/.installed-dev
	$(BIN)/python -m docs.release.sbom

# Everything that must be true before a release; uploads nothing. SKIP=tests leaves steps out.
release-check: .venv/.installed-dev
	$(BIN)/python -m docs.release.checklist --dry-run --skip "$(SKIP)"

clean:
	rm -rf .venv .compat build dist *.egg-info
