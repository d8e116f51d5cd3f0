# The one door to Cameo. `make` alone says what there is.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
READY := $(VENV)/.ready
READY_TRAINING := $(VENV)/.ready-training

# The order matters: each stage builds on the one before.
STAGES := field encoder decoder hybrid
MAKEHUMAN ?= ../shared/assets/makehuman
RUN ?= runs/cameo
# Files of tests that run at a time. JOBS=1 runs them one after the other.
JOBS ?= 2
AT_ONCE = $(if $(filter-out 1,$(JOBS)),--numprocesses $(JOBS) --dist loadfile)
# Real portraits and VGG16's features are used where they are; docs/training.md says how they come there.
PORTRAITS ?= $(wildcard runs/portraits.npz)
VGG ?= $(wildcard weights/fetched/vgg16.npz)

.PHONY: evaluate-refine help install run test test-long check format golden bench bench-plots world train bundle train-smoke install-eval clean

help: ## say what each target does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with everything that running and testing need; quick when nothing changed

# Runs again when a requirement changes; the file is a stamp.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Cameo needs Python 3.11 or newer; PYTHON=/path/to/python3.11 names one."; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "No virtual environment could be made; on Debian: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV); the first time this takes some minutes."
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(READY_TRAINING): $(READY)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,training]'
	@touch $@

run: $(READY) ## open the window; PHOTO=portrait.jpg opens a photo in it
	$(PY) main.py $(if $(PHOTO),"$(PHOTO)")

test: $(READY) ## run the suite (contracts, style, types, units, window, journeys): under 10 minutes on two cores
	$(PY) -m pytest $(AT_ONCE)

test-long: $(READY) ## run everything, the tests that take minutes too
	$(PY) -m pytest --long $(AT_ONCE)

check: $(READY) ## lint, format, types and import contracts, without running anything
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(READY) ## put the code into the house's format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

golden: $(READY) ## compare the official networks with the reference numbers in CAMEO_GOLDEN (default ../shared/golden/reference)
	$(PY) -m pytest tests/golden --long

bench: $(READY) ## measure library, window and command line against their bounds, minutes; writes bench.json (BENCH_OUT); ARGS=--quick
	$(PY) -m tests.bench $(ARGS)

bench-plots: $(READY) ## measure how cost grows with size, threads and resolution, and draw it into docs/images; ARGS=--quick
	OMP_WAIT_POLICY=PASSIVE $(PY) -m tests.bench.plots $(ARGS)

world: $(READY_TRAINING) ## make the synthetic world; MAKEHUMAN=folder of its assets, HEADS=8192
	test -f runs/world/pack.npz || $(PY) -m core world pack "$(MAKEHUMAN)" --out runs/world/pack.npz
	$(PY) -m core world generate runs/world/shards --count $(or $(HEADS),8192) --workers $(or $(WORKERS),2)

train: $(READY_TRAINING) ## train cameo-256, stage after stage, going on where it stopped; MINUTES=20 a stage, ARGS=… for more
	for stage in $(STAGES); do $(PY) -m core train $$stage --run $(RUN) --minutes $(or $(MINUTES),20) \
		$(if $(PORTRAITS),--portraits $(PORTRAITS)) $(if $(VGG),--vgg $(VGG)) $(ARGS) || exit 1; done

evaluate-refine: $(READY) ## methods of refinement against one another; PHOTOS=folder, ARGS=--quick or --all
	test -d "$(PHOTOS)"
	$(PY) -m core evaluate refine "$(PHOTOS)" $(ARGS)

bundle: $(READY_TRAINING) ## make weights of what was trained; NAME=cameo-256 replaces the shipped ones
	$(PY) -m core train bundle --run $(RUN) --name $(or $(NAME),mine)

train-smoke: $(READY) ## two steps of every stage on a toy world and a toy model, and a bundle, to see that they run
	rm -rf runs/smoke
	$(PY) -m tests.training.toy_world runs/smoke/world
	for stage in $(STAGES) practice reader parser; do $(PY) -m core train $$stage --model toy-256 --world runs/smoke/world --run runs/smoke/run \
		--landmarks runs/smoke/world/landmark_vertices.json --snapshots runs/smoke/world/snapshots --glances runs/smoke/world/glances \
		--device cpu --max-steps 2 --batch 2 --eager || exit 1; done
	$(PY) -m core train landmarks --model toy-256 --run runs/smoke/run --data runs/smoke/world/landmarks --steps 20
	$(PY) -m core train bundle --model toy-256 --run runs/smoke/run --landmarks runs/smoke/world/landmark_vertices.json \
		--samples 200 --out runs/smoke/weights --name toy

install-eval: $(READY) ## fetch what only training and evaluation need into weights/fetched: VGG16 (59 MB), judges of edits (3 MB, by npm)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,evaluation]'
	$(PY) -m weights.fetch
	$(PY) -m weights.fetch_scorers

clean: ## remove what running and testing leave behind; the environment and the weights stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis cameo.egg-info bench.json
	find core gui tests -name __pycache__ -type d -prune -exec rm -rf {} +
