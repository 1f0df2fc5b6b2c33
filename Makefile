.DEFAULT_GOAL := help
.PHONY: help install format lint type test schema snapshots picture pictures check

help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:  ## Install the checkout with what development needs
	pip install -e '.[dev]'

format:  ## Put imports and layout right
	ruff check --fix .
	ruff format .

lint:  ## Style
	ruff check .
	ruff format --check .

type:  ## Types
	mypy

test:  ## All tests
	pytest -n 2

schema:  ## Write graph/run.schema.json and the tables of docs/configuration.md
	python scripts/write_schema.py
	python scripts/write_configuration.py

snapshots:  ## Write the rendered samples of every prompt, for review
	LABELWRIGHT_UPDATE_SNAPSHOTS=1 pytest -q tests/tools/test_packaged_prompts.py

picture:  ## Draw docs/demo.svg from a demo run
	runs=$$(mktemp -d) && labelwright demo --runs "$$runs" && \
	python scripts/demo_picture.py "$$runs/demo"; rm -rf "$$runs"

pictures:  ## Draw the pictures of docs/panel.md in a browser (needs chromium)
	LABELWRIGHT_SCREENSHOTS=1 pytest -q tests/panel/test_e2e_screenshots.py

check:  ## Everything that is checked before a change is merged
	.ci/run
