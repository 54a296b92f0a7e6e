# Each target does the set-up that is still missing (system packages, .venv, install) and is quick when there is none.
BIN := .venv/bin
READY := .venv/ready
TESTS_READY := .venv/ready-for-tests

.PHONY: help film test lint bench
.DELETE_ON_ERROR:

help:
	@echo "make film   render the vertebroplasty film at 720p to ./vertebroplasty-hd.mp4"
	@echo "make test   run all checks and tests"
	@echo "make lint   run the checks alone: ruff, mypy, import-linter"
	@echo "make bench  measure speed and memory, a line of JSON each"

$(READY): pyproject.toml .ci/setup
	@sh .ci/setup "" $@

$(TESTS_READY): pyproject.toml .ci/setup
	@sh .ci/setup "[test]" $@
	@touch $(READY)

film: $(READY)
	@$(BIN)/spineviz render vertebroplasty

# two processes: what the machines that check this project have
test: $(TESTS_READY)
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: $(TESTS_READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(TESTS_READY)
	@for script in tests/bench/bench_*.py; do $(BIN)/python $$script || exit 1; done
