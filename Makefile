# Each target installs what it needs into .venv, once, with the versions of requirements.lock.
#
#   make sample   write the synthetic sample, embed it, and make the page of its topics and people
#   make test     ruff, mypy and all tests
#   make chaos    kills, full disks and S3 faults at length: an hour and more, CHAOS="--only actors" for a part
#   make check    ruff, mypy and the tests that start no processes: seconds
#   make lock     find the newest versions again and write requirements.lock
#   make clean    remove .venv, the sample and all caches; ./results stays

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK_VENV := $(VENV)-lock
SAMPLE_OPTIONS := --config recipes/topics.yaml --date 2026-01-31

.PHONY: sample test check chaos lint lock clean
.DELETE_ON_ERROR:

sample: $(VENV)/.sample sample/truth.parquet
	$(BIN)/python jobs/embed.py $(SAMPLE_OPTIONS)
	$(BIN)/python jobs/preview.py $(SAMPLE_OPTIONS)
	$(BIN)/python jobs/report.py $(SAMPLE_OPTIONS)

test: lint $(VENV)/.browser
	$(BIN)/python -m tests

check: lint
	$(BIN)/python -m pytest -m "not ray and not chaos and not s3 and not gpu and not browser"

chaos: $(VENV)/.test
	$(BIN)/python -m tests.chaos --out results/chaos.md $(CHAOS)
	$(BIN)/python -m pytest -m soak

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sample/truth.parquet: theta_ray/corpus/sample.py theta_ray/corpus/sample_nights.py theta_ray/corpus/sample_phrases.py | $(VENV)/.sample
	$(BIN)/python -m theta_ray.corpus.sample sample

$(VENV)/.sample: pyproject.toml requirements.lock | $(VENV)/.made
	$(PIP) install -c requirements.lock -e ".[sample]"
	@touch $@

$(VENV)/.test: pyproject.toml requirements.lock | $(VENV)/.made
	$(PIP) install -c requirements.lock -e ".[sample,test]"
	@touch $@ $(VENV)/.sample

# Debian's headless Chromium, unpacked below .venv without root; elsewhere tests that open pages need one installed.
$(VENV)/.browser: tests/browser/chromium.py | $(VENV)/.test
	$(BIN)/python -m tests.browser.chromium $(VENV)/chromium
	@touch $@

define make_venv
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 on the PATH; install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is not Python 3.11 to 3.13; name another: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; install it (Debian: apt install python3-venv) and run make again" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(1)
endef

$(VENV)/.made:
	$(call make_venv,$(VENV))
	@touch $@

# torch first and by the version of the lock in force: where a CPU build is offered, pip takes it. The CUDA
# libraries that other builds bring are left out of the lock: torch itself names the versions that it needs.
lock:
	$(call make_venv,$(LOCK_VENV))
	$(LOCK_VENV)/bin/python -m pip install "$$(grep -i '^torch==' requirements.lock || echo torch)"
	$(LOCK_VENV)/bin/python -m pip install -e ".[sample,test]"
	{ echo "# Versions of everything that .[sample,test] installs, as constraints: pip install -c requirements.lock -e ."; \
	  echo "# Written by: make lock"; \
	  $(LOCK_VENV)/bin/python -m pip freeze --all --exclude-editable | sed 's/+.*//' | grep -ivE '^(pip==|nvidia|cuda|triton)'; \
	} > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf $(LOCK_VENV)

clean:
	rm -rf $(VENV) $(LOCK_VENV) sample .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
