# SPDX-License-Identifier: Apache-2.0
# A thin front to Meson and the tools; `make help` lists what there is.
BUILD ?= build
RELEASE ?= build-release
SEEDS ?= 200
FIRST ?= 1
SEED ?=
TRACE ?=
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

.PHONY: help all run check bench sim soak fuzz format tidy install packages clean

all: $(BUILD)/build.ninja ## build everything into $(BUILD)
	@ninja -C $(BUILD) --quiet

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

packages: ## install the Debian packages that are missing
	@tools/install_packages

$(BUILD)/build.ninja: | packages
	@meson setup $(BUILD) --buildtype=debugoptimized -Db_lto=false >/dev/null || \
		{ meson setup $(BUILD); exit 1; }

run: packages all ## start a small cluster and show a mirrored volume through a failure
	@tools/demo --build $(BUILD)

check: packages ## everything that must hold before a commit
	@/usr/bin/python3 tools/check

bench: packages ## figures of the data path, as ratios against references in the same run
	@tools/bench

sim: packages all ## simulator campaign: SEEDS=n FIRST=n, or one SEED=n TRACE=1
	@$(BUILD)/sim/sim_campaign $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST) --jobs $$(nproc)) \
		$(if $(TRACE),--trace)

soak: packages all ## campaigns with fresh seeds until stopped, one line a minute
	@tools/soak --build $(BUILD)

fuzz: packages ## every fuzzer for FUZZ_SECONDS each
	@/usr/bin/python3 tools/fuzz --seconds $(FUZZ_SECONDS)

format: ## let clang-format decide the layout
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

tidy: all ## the rules of the house, as a test
	@/usr/bin/python3 tools/tidy

install: packages ## build what is measured and shipped, and install it under PREFIX
	@test -f $(RELEASE)/build.ninja || meson setup $(RELEASE) --native-file tools/release.ini >/dev/null
	@ninja -C $(RELEASE) --quiet
	@meson configure $(RELEASE) --prefix $(PREFIX) && meson install -C $(RELEASE)

clean: ## remove the build folders
	@rm -rf $(BUILD) build-*
