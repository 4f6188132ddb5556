# Each target makes the environment it needs (.venv, once) and does its job.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: env demo test test-full check lint type sanitize bench docs clean

env:
	@$(PYTHON) deploy/environment.py

demo: env
	$(BIN)/bitloom demo

test: env
	$(BIN)/pytest -m "not slow and not gpu"

test-full: env
	$(BIN)/pytest -m "not gpu"

check: lint type test

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: env
	$(BIN)/mypy

sanitize: env
	$(BIN)/python -m server.workers.kernels.sanitize

bench: env
	$(BIN)/python -m benchmarks

# Everything under docs/ that a run makes: the demo's pictures, the schemas.
docs: demo
	mkdir -p docs/pictures docs/schemas
	cp out/demo/report-*.png docs/pictures/
	for name in plan variant run sample; do $(BIN)/bitloom schema $$name > docs/schemas/$$name.json; done

clean:
	rm -rf out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
