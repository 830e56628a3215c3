# Each target does its own set-up, once and again when the dependencies change: a virtual
# environment in .venv, by uv where it is installed, else by venv and pip.
#
#   make PYTHON=/path/to/python …   another interpreter (3.11 or later)
#   make run ARGS="--db my.db"      arguments for the command behind the target

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

UV := $(shell command -v uv 2>/dev/null)
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$each" $(NEW_ENOUGH) && echo "$$each" && break; done)

ifdef UV
CREATE = $(UV) venv --quiet --python $(or $(PYTHON),'>=3.11') $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
else
CREATE = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help demo run test lint bench screenshots

help:
	@echo "make demo         a throw-away orchestrator with a broker and simulated events"
	@echo "make run          the application, with its own database"
	@echo "make test         every test (with mosquitto installed, none is skipped)"
	@echo "make lint         ruff, mypy and the import contracts"
	@echo "make bench        measurements"
	@echo "make screenshots  the pictures in screenshots/, made from the running application"

demo: $(VENV)/.installed
	@$(BIN)/cortex demo $(ARGS)

run: $(VENV)/.installed
	@$(BIN)/cortex $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(or $(WORKERS),6) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(VENV)/.installed-dev
	$(BIN)/python -m screenshots.make $(ARGS)

$(VENV)/.created:
ifndef UV
	@test -n "$(PYTHON)" && $(PYTHON) $(NEW_ENOUGH) || { \
		echo "Cortex TUI needs Python 3.11 or later; found: $(or $(PYTHON),none)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
endif
	@echo "Setting up $(VENV) (once; about half a minute)"
	@rm -rf $(VENV)
	@$(CREATE)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt $(VENV)/.created
	@$(INSTALL) --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
ifndef UV
	@$(INSTALL) --upgrade pip  # dependency groups need 25.1
endif
	@$(INSTALL) --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@
