# Every target sets up what it needs in .venv, once; with no network the second run works too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# In a container one is often root, and Jupyter wants that said.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test smoke torture lint format notebooks benchmarks clean

lab: $(INSTALLED)  ## open JupyterLab on the scale explorer
	$(BIN)/jupyter lab notebooks/explore_scales.ipynb $(AS_ROOT) $(LAB_FLAGS)

test: $(INSTALLED)  ## unit, browser and node tests, and every notebook
	$(BIN)/python -m pytest --nbval

smoke: $(INSTALLED)  ## the recipe of the embedded model learns something in a minute or two
	$(BIN)/python -m pytest -m smoke

torture: $(INSTALLED)  ## programs are killed at many moments, and share folders: nothing is lost, nothing is wrong
	$(BIN)/python -m pytest -m torture

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(INSTALLED)  ## execute the notebooks and store text outputs only
	$(BIN)/python tests/refresh_notebooks.py

benchmarks: $(INSTALLED)
	$(BIN)/python -m pytest tests/benchmarks --override-ini='norecursedirs=.*' --benchmark-only -q -s
	$(BIN)/python tests/benchmarks/browser_latency.py
	$(BIN)/python tests/benchmarks/browser_maps.py

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) build dist
