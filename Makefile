# make            build ./tundump, a static binary
# make demo       capture one inner host among GRE and VXLAN (as root: live)
# make test       all checks and tests; those that need root are skipped without it
# make test-long  the same tests with more and longer random input
# make docs       write the manual, the completions and the tables of docs anew
# make bench      compare the speed with that of others, in 18 minutes (as root)
# make bench-quick  ... in two minutes, less exactly
# make install    into PREFIX, below DESTDIR: binary, manual, completions
# make fuzz       every fuzz target for FUZZTIME

FUZZTIME   = 30s
PREFIX     = /usr/local
PROGRAM    = tundump
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The three dots do not lead into folders named testdata.
PACKAGES   = ./... $(addprefix ./,$(sort $(dir $(wildcard testdata/*/*.go))))

export CGO_ENABLED = 0
# An older go fetches the release that go.mod names.
export GOTOOLCHAIN = auto
export PATH := $(PATH):/usr/local/go/bin

.PHONY: build demo bench bench-quick test test-long check docs install fuzz setup

build:
	@.ci/setup build
	go build -trimpath -o tundump ./cmd/tundump

demo: build
	go run ./testdata/demo ./tundump

bench: build
	@.ci/setup bench
	@go run ./testdata/bench ./tundump

bench-quick: build
	@.ci/setup bench
	@go run ./testdata/bench -quick ./tundump

test: check
	@.ci/test $(PACKAGES)
	@cd decode/oldreader && ../../.ci/test ./...

test-long: check
	@TUNDUMP_LONG=20 .ci/test -timeout 2h $(PACKAGES)

check: setup
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted" >&2; exit 1; }
	go vet $(PACKAGES)
	go run $(STATICCHECK) $(PACKAGES)
	.ci/imports

docs:
	go test ./cmd/tundump -run 'TestDocs$$' -update-docs
	go test ./bpf -run 'TestFiltersDocument$$' -update-filters
	go test ./decode -run 'TestJSONDocument$$' -update-json

install: build
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/tundump
	install -D -m 644 docs/tundump.1 $(DESTDIR)$(PREFIX)/share/man/man1/tundump.1
	install -D -m 644 docs/completion/tundump.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tundump
	install -D -m 644 docs/completion/_tundump $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tundump
	install -D -m 644 docs/completion/tundump.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tundump.fish

fuzz: setup
	@go list -f '{{.Dir}}' $(PACKAGES) | while read -r dir; do \
		for target in $$(cd "$$dir" && go test -list '^Fuzz' . | grep '^Fuzz'); do \
			(cd "$$dir" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
		done; \
	done

setup:
	@.ci/setup
