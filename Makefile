# Two commands do everything, set-up included: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
INSTALLED = $(VENV)/.installed
C_FILES = $(shell find micronet_mcu tests tflm -name '*.[ch]' -o -name '*.cc' -o -name '*.ino')

.PHONY: help install demo test test-fast lint lock clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 \t/p' Makefile

install: $(INSTALLED)  ## a virtual environment with the locked requirements

$(INSTALLED): requirements.lock setup.py distributions/micronet-mcu/setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e distributions/micronet-mcu -e .
	@touch $@

demo: install  ## train, quantize, convert and run MicroNet-M0; the results are in out/demo
	$(RUN) scripts/demo.py

lint: install  ## style, types, and which package imports which
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(RUN) -m mypy
	$(VENV)/bin/clang-format --dry-run --Werror $(C_FILES)

test: lint  ## style and tests
	$(RUN) -m pytest -n 2 --dist loadfile

test-fast: install  ## the quick tests alone
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

lock:  ## renew requirements.lock (needs uv)
	echo '# Made by `make lock` from requirements.in; installed with --require-hashes.' > requirements.lock
	uv pip compile requirements.in --quiet --universal --generate-hashes --no-header --python-version 3.11 >> requirements.lock

clean:  ## remove what the other commands made
	rm -rf $(VENV) out build *.egg-info
