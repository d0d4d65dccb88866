# SPDX-License-Identifier: GPL-3.0-or-later
# Two commands matter: `make demo` and `make test`. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The folder may have any name, also one with a space: it is quoted wherever it is used.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible passes over a configuration in a folder that others may write to, unless it is named.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export LC_ALL := C.UTF-8

SCENARIO ?= default
SUITE ?= bookworm
DO ?= test

# Cheapest first.
STAGES := 'lint' 'sanity' 'unit' 'package' 'host' 'release' 'health' \
	'molecule SCENARIO=default SUITE=bookworm' \
	'molecule SCENARIO=default SUITE=trixie' \
	'molecule SCENARIO=servers SUITE=bookworm' \
	'molecule SCENARIO=upgrade SUITE=trixie'

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "One scenario on one distribution:   make molecule SCENARIO=default SUITE=trixie"
	@echo "One step of it, the host stays:     make molecule SUITE=trixie DO=converge     (then DO=verify, DO=destroy)"
	@echo "One test:                           make unit TEST='-k topology'"

.PHONY: demo
demo: venv engine ## Start the demo's host in Docker, set the whole stack up on it, show its addresses
	@began=$$SECONDS; \
	ansible-playbook site.yml -i inventory/; \
	printf '\n%s\n%s\n%s\n\n' \
		"The shop     https://shop.localhost:8443/   (the certificate is a placeholder: accept it, or curl -k)" \
		"Its pages    https://shop.localhost:8443/docs" \
		"Ready in $$((SECONDS - began)) seconds. Run 'make demo' again to converge, 'make demo-down' to remove all of it."

.PHONY: demo-down
demo-down: venv ## Remove the demo: host, volumes, network and generated secrets
	@ansible-playbook playbooks/demo_down.yml -i inventory/

.PHONY: test
test: venv ## Run every test, cheapest first, until one fails
	@tools/testbed/stages $(STAGES)

.PHONY: lint
lint: venv ## Check style, generated files and the changelog
	@tools/checks/lint

.PHONY: sanity
sanity: venv ## Run ansible-test's sanity tests
	@tools/checks/sanity

.PHONY: unit
unit: venv ## Run the unit tests of plugins (with branch coverage), and those of the example app
	@rm -rf .cache/coverage
	@pytest tests/unit $(if $(TEST),$(TEST),--cov --cov-report=term)
	@$(if $(TEST),:,cd examples/app && UV_PROJECT_ENVIRONMENT="$(CURDIR)/.cache/app-venv" UV_PYTHON="$(CURDIR)/.venv/bin/python" \
		UV_SYSTEM_CERTS=1 uv run --quiet --frozen pytest -p no:cacheprovider)

.PHONY: package
package: venv ## Build the collection, list and install its tarball, and play it from there
	@tools/checks/package

.PHONY: host
host: venv engine ## Test the converge module on real hosts
	@pytest tests/host $(TEST)

.PHONY: release
release: venv engine ## Test releases on a real host: bad ones, killed deploys, all sources
	@pytest tests/release $(TEST)

.PHONY: health
health: venv engine ## Test the health modules on a real host whose parts are broken one by one
	@pytest tests/health $(TEST)

.PHONY: benchmark
benchmark: venv engine ## Measure our run beside a good naive play and a shell script (about ten minutes)
	@benchmarks/run

.PHONY: molecule
molecule: venv engine ## Run one scenario (SCENARIO=default) on one distribution (SUITE=bookworm or trixie)
	@[[ -t 1 ]] || export NO_COLOR=1; \
	ASGI_SUITE="$(SUITE)" MOLECULE_GLOB='molecule/*/molecule.yml' MOLECULE_COMMAND_BORDERS=false \
		MOLECULE_EPHEMERAL_DIRECTORY="$(CURDIR)/.cache/molecule/$(SCENARIO)" \
		molecule --base-config molecule/shared/molecule.yml $(DO) --scenario-name "$(SCENARIO)"

.PHONY: venv
venv: ## Make the virtual environment with the tools
	@tools/testbed/venv

.PHONY: engine
engine: ## See that a Docker engine answers; install and start one where there is none and it may
	@tools/testbed/engine

.PHONY: clean
clean: ## Remove test hosts that a killed run left, and all caches
	@tools/testbed/host clean
	@rm -rf .cache
