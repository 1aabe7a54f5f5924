# make demo · make test · make test-s3 · make test-page · make bench · make runtime · make check · make check-deploy
# One profile and one target folder for everything; CARGO_TARGET_DIR is honoured.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
SELVEDGE := $(CARGO_TARGET_DIR)/release/selvedge
CARGO := cargo
VENV := .venv

.PHONY: demo test test-mpi test-s3 test-page check check-deploy bench runtime build clean-demo
.DEFAULT_GOAL := demo

build:
	$(CARGO) build --release --locked

## Everything from nothing: builds, draws the sample data, runs pipelines/demo.toml to the end.
demo: build runtime
	@test -f demo/data/train.csv || $(SELVEDGE) sample-data --scenes lookbook --long-side 320 --images 1400 --catalog 24 --seed 1 --out demo/data
	@$(SELVEDGE) run pipelines/demo.toml && status=0 || status=$$?; test $$status -eq 0 -o $$status -eq 3
	@$(SELVEDGE) report demo/store --photos demo/data/train --title "The demo" --out demo/report.html
	@echo
	@echo "Look at it:"
	@echo "  demo/report.html                    the dataset, the training and the cutouts on one page"
	@echo "  demo/cutouts/                       the catalogue photos without their background"
	@echo "  demo/store/models/demo/panels/      test photos: masks, what the network says, cutout"
	@echo "  demo/store/models/demo/             the model, curves.svg, loss.svg, batch.png, evaluation.txt"
	@echo "  demo/data/                          the made-up photos, their CSV and their true mattes"
	@echo "  $(SELVEDGE) stats --data demo/store          the same figures as text"
	@echo "  $(SELVEDGE) plan pipelines/demo.toml         what the next run would do"
	@echo "  $(SELVEDGE) runs list demo/store             what has run"
	@tail -n 1 demo/store/models/demo/evaluation.txt

clean-demo:
	rm -rf demo

## The pinned ONNX Runtime, into .runtime (CUDA=1 for the one for GPUs).
runtime:
	@CUDA=$(CUDA) bash deploy/runtime.sh

$(VENV)/ready: tests/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

## Every test there is; set up from nothing.
test: runtime $(VENV)/ready check-deploy
	$(CARGO) build --release --locked
	SELVEDGE_MOTO=$(CURDIR)/$(VENV)/bin/moto_server SELVEDGE_PYTHON=$(CURDIR)/$(VENV)/bin/python $(CARGO) test --release --locked

## Training on several ranks: Open MPI and MPICH (from PyPI into .mpi), and NCCL's side with a stand-in.
test-mpi: build runtime
	SELVEDGE=$(abspath $(SELVEDGE)) bash tests/mpi.sh

## A real S3 server, Ceph's radosgw, and its faults; as root where Debian's packages are still to be installed.
test-s3: build $(VENV)/ready
	SELVEDGE=$(abspath $(SELVEDGE)) PYTHON=$(CURDIR)/$(VENV)/bin/python bash tests/s3.sh

## A report in a browser, Debian's headless Chromium: light, dark, phone, paper; as root where it is still to be installed.
test-page: build
	@mkdir -p $(CARGO_TARGET_DIR)/browser
	@cd $(CARGO_TARGET_DIR)/browser && rm -rf data store report.html && \
		program=$(abspath $(SELVEDGE)) && \
		$$program sample-data --images 40 --catalog 8 --scenes lookbook --long-side 160 --out data >/dev/null && \
		$$program ingest --csv data/train.csv --out store && $$program merge --classes all --annotations store --out store && \
		$$program split --data store --photos data/train && $$program report store --photos data/train --out report.html
	bash tests/browser.sh $(CARGO_TARGET_DIR)/browser/report.html --charts 30

## What must hold before a test is run.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps

## What a team copies from deploy/: units, images, manifests, rights, alerts, scripts. Without a network once .venv is there.
check-deploy: $(VENV)/ready
	@PATH=$(CURDIR)/$(VENV)/bin:$$PATH bash tests/deploy.sh

## Ratios against the peers and the floor; takes what it needs into an ignored environment.
bench: build runtime
	bash tests/peers/bench.sh
