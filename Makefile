# Everything a newcomer needs; `make` alone prints this list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export ELICENCE_FONTS ?= $(CURDIR)/fonts
BIN := bin
GO ?= go
LISTEN ?= 127.0.0.1:8080
GENERATED := docs/licence-types.md docs/verification.md testdata/verify

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: fonts build ## build and serve the demo on LISTEN=127.0.0.1:8080 (data in ./demo)
	$(BIN)/elicenced demo --dir demo --listen $(LISTEN)

build: ## build the binaries into ./bin
	$(GO) build -o $(BIN)/ ./cmd/...

test: tools fonts build wasm ## every test, on SQLite and on a real PostgreSQL, and the outside judges
	$(GO) test -shuffle=on -timeout 20m ./...
	scripts/judge.sh

wasm: ## package verify compiles for the browser
	GOOS=js GOARCH=wasm $(GO) build ./verify

check: tools fonts ## gofmt, vet, staticcheck, race tests
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... && $(GO) vet -tags interop ./cmd/... && $(GO) vet -tags faults ./cmd/...
	$(GO) tool staticcheck ./...
	$(GO) test -race -shuffle=on -timeout 40m ./...

bench: tools fonts build ## the figures of docs/benchmarks.md
	scripts/bench.sh

faults: tools fonts build ## 200 times kill -9 of server, witness and PostgreSQL under load, and of one server of three with the file storage, a batch of licences at work, a full disk, attacks on the log, a timestamp authority that goes away, a fail-over, the drill of a disaster, on both stores, the system-call traces, and random lives of licences; as root
	TMPDIR=/dev/shm ELICENCE_LIVES=2000 $(GO) test -run '^TestLives$$' -count=1 -v -timeout 60m ./licence/registry
	$(GO) test -tags faults -run Fault -count=1 -v -timeout 60m ./audit/witness ./cmd/elicenced

interop: fonts ## OpenSSL, BouncyCastle and sm-crypto judge licences and changed copies; any disagreement fails
	scripts/interop.sh

fuzz: fonts ## every fuzz target for FUZZTIME=1m; FUZZ= picks targets; stops at the first input that fails
	scripts/fuzz.sh

fonts: ## fetch the fonts into ./fonts, once
	@scripts/fonts.sh

tools: ## install or name the outside judges that the tests call
	@scripts/tools.sh

generate: ## remake what is generated
	$(GO) generate ./...

verify-generated: generate ## fail when something generated is not current
	@test -z "$$(git status --porcelain -- $(GENERATED))" || { git --no-pager diff --stat -- $(GENERATED); git status --short -- $(GENERATED); echo 'these are not what make generate makes'; exit 1; }

characters: tools fonts ## every character judged by FreeType and poppler, and docs/characters.md remade; some minutes
	$(GO) test -count=1 -timeout 60m -run '^TestCharacters$$' ./licence/render/typeface -characters

pdfsig: tools ## ask poppler's pdfsig about new cases of the corpus, then remake what is generated
	$(GO) test -count=1 -run '^TestCorpus$$' ./verify -update
	$(GO) test -count=1 -run '^TestPDFSig$$' ./verify -pdfsig
	$(MAKE) generate

.PHONY: help run build test wasm check bench faults interop fuzz fonts tools generate verify-generated characters pdfsig
