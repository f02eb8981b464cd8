# Every target sets up what it needs in .venv, once; with no network the second run works too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PROCESSES ?= 3
# In a container one is often root, and Jupyter wants that said.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# make test LANE=browser runs one lane: unit, node, browser, notebooks or wheel.
LANE ?=

.PHONY: help lab test check quick smoke torture coverage wheel lowest newest lint types format hooks notebooks benchmarks timings docs docs-figures clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: $(INSTALLED)  ## open JupyterLab on the scale explorer
	$(BIN)/jupyter lab notebooks/explore_scales.ipynb $(AS_ROOT) $(LAB_FLAGS)

# Three processes on two cores: a browser test waits half of its time. Files stay whole, since some share a browser or a trained model. Their order is that of
# tests/support/longest.py, not by the number of tests.
test: $(INSTALLED)  ## unit, browser and node tests, every notebook, the wheel; LANE=browser: one kind alone
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(if $(LANE),--lane $(LANE))

check: $(INSTALLED)  ## before each commit, about a minute: style, types, and the quick tests
	$(MAKE) --no-print-directory -j2 --output-sync=target lint types quick

quick: $(INSTALLED)  ## the quick tests: no browser, no notebook, no training, no embedded model
	$(BIN)/python -m pytest -q --quick

smoke: $(INSTALLED)  ## the recipe of the embedded model learns something in a minute or two
	$(BIN)/python -m pytest -m smoke

torture: $(INSTALLED)  ## programs are killed at many moments, and share folders: nothing is lost, nothing is wrong
	$(BIN)/python -m pytest -m torture

coverage: $(INSTALLED)  ## which lines of the package the tests run, without browser and notebooks: build/coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m "not smoke and not torture and not browser" --numprocesses $(PROCESSES) --dist loadfile \
		--no-loadscope-reorder --cov --cov-report=term-missing:skip-covered --cov-report=html:build/coverage

wheel: $(INSTALLED)  ## builds the wheel, installs it in a new environment, and uses it from an empty folder
	$(BIN)/python -m pytest tests/test_wheel.py

lowest: $(INSTALLED)  ## the quick tests with the lowest versions of all dependencies but torch, in a new environment
	$(BIN)/python -m pip install --quiet 'uv>=0.8,<1'
	$(BIN)/python tests/versions.py lowest

newest: $(INSTALLED)  ## the quick tests with the newest versions but torch's, pre-releases too, in a new environment
	$(BIN)/python -m pip install --quiet 'uv>=0.8,<1'
	$(BIN)/python tests/versions.py newest

lint: $(INSTALLED)  ## style, spelling, structure, stored notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python tests/structure.py
	$(BIN)/python tests/support/notebooks.py --check

types: $(INSTALLED)  ## the type checker, at its basic level
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(INSTALLED)  ## mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(INSTALLED)  ## check style, spelling and notebooks at every commit
	$(BIN)/pre-commit install

notebooks: $(INSTALLED)  ## execute the notebooks and store their text outputs
	$(BIN)/python tests/support/notebooks.py

benchmarks: $(INSTALLED)  ## the same work by this package and by others: docs/measurements/peers.md and peers.json
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python tests/benchmarks/peers

timings: $(INSTALLED)  ## what has no peer: the other figures of the documents
	$(BIN)/python -m pytest tests/benchmarks --override-ini='norecursedirs=.*' --benchmark-only -q -s
	$(BIN)/python tests/benchmarks/browser_latency.py
	$(BIN)/python tests/benchmarks/browser_maps.py

docs: $(VENV)/.docs  ## the site, from docs and the notebooks: build/docs/index.html; warnings are errors, links are checked
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees -b html docs build/docs
	$(BIN)/python docs/site/check_site.py build/docs

docs-figures: $(INSTALLED)  ## draw the pictures of the documents again, each by its script in docs/figures; some need Chromium
	for script in $$(grep -l __main__ docs/figures/*.py); do echo "$$script" && $(BIN)/python "$$script" || exit 1; done

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,lint]'
	touch $@

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

clean:  ## remove .venv and what was built
	rm -rf $(VENV) build dist
