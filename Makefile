# ollama-sidecar. `make help` lists the targets.
#
# BUILD=DIR builds elsewhere, SAN=address,undefined with sanitizers, WERROR=1 as CI does.
# WITH_SYSTEMD=1 links libsystemd; BALANCER=no leaves out what is for several Ollamas, and hiredis with it, MODELS=no what serves
# models of a Hugging Face hub. LTO=1 makes smaller programs, at the cost of time.
# Yours are appended last: CPPFLAGS, CFLAGS, LDFLAGS, LDLIBS.

VERSION := 0.1.0
BUILD ?= build
COMMA := ,
PKG_CONFIG ?= pkg-config

# Not that of a repository which this folder is only a copy in.
GIT_VERSION := $(shell [ -n "$$(git rev-parse --show-prefix 2>/dev/null)" ] || git describe --tags --always --dirty 2>/dev/null)
# Where git tells nothing, as root is told nothing of another user's repository, what was built keeps its version: `make install`
# builds nothing then.
BUILT_VERSION := $(filter $(VERSION) $(VERSION)+%,$(shell cat $(BUILD)/version 2>/dev/null))
FULL_VERSION := $(if $(GIT_VERSION),$(VERSION)+$(GIT_VERSION),$(or $(BUILT_VERSION),$(VERSION)))

WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough -Wvla -Wundef -Wwrite-strings
ifdef WERROR
WARNINGS += -Werror
endif
ifdef STATIC
# ollama-supervisor alone, for `make static`: what musl's static programs have no use for is left out (docs/adr/0008).
HARDENING := -U_FORTIFY_SOURCE -fstack-protector-strong -fstack-clash-protection -fno-pie -isystem $(BUILD)/include
LINK_HARDENING := -static -no-pie -Wl,-z,noexecstack
LINK_INIH := -Wl,--defsym=fopen64=fopen
WARNINGS += -Wno-sign-conversion # of musl's CMSG_NXTHDR
else ifdef SAN
HARDENING := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK_HARDENING := -fsanitize=$(SAN)
else
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
# Shadow stacks, which Linux has for programs; the marks of where a jump may land, 10 kB, it checks in none.
ifeq ($(shell uname -m),x86_64)
HARDENING += -fcf-protection=return
endif
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
# The tables' relocations in a few hundred bytes instead of 12 kB, where libc can read them.
HAS_RELR := $(shell printf '\043include <features.h>\n\043if __GLIBC_PREREQ(2, 36)\nyes\n\043endif\n' | $(CC) -E -P - 2>/dev/null | grep yes)
ifeq ($(HAS_RELR),yes)
LINK_HARDENING += -Wl,-z,pack-relative-relocs
else # what they take then is made up for by what pages of their own for code would, 20 kB, and what is hot is small as well (docs/adr/0014)
LINK_HARDENING += -Wl,-z,noseparate-code
NO_HOT := yes
# A C library of that age never turns on what -fcf-protection prepares. Canaries are in functions with arrays of characters, and not in all that have
# an address on their stack: 33 kB.
HARDENING := $(patsubst -fstack-protector-strong,-fstack-protector,$(patsubst -fcf-protection=return,-fcf-protection=none,$(HARDENING)))
endif
endif
ifndef SAN
# What is never called is left out; debuggers unwind by -g's tables, not by ones that are mapped into memory.
SMALL := -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
LINK_SMALL := -Wl,--gc-sections
endif

ALL_CPPFLAGS = -D_GNU_SOURCE -DSIDECAR_VERSION='"$(FULL_VERSION)"' -I. -I$(BUILD)/gen $(BALANCER_CPPFLAGS) $(MODELS_CPPFLAGS) $(CPPFLAGS)
# Five of gcc's ideas at -Os cost more bytes than they save: constants of full length where its -Oz knows shorter ones (since 12), jumps that
# skip a test by a copy of what is between, small functions in place of their calls, loops whose test is copied before them, and guesses at what is
# likely: 20 kB, none of it hot.
ifeq ($(findstring clang,$(CC)),)
OPTIMISE = $(SMALLEST) -fno-thread-jumps -fno-inline-small-functions -fno-tree-ch -fno-guess-branch-probability $(WHOLE)
SMALLEST := $(shell $(CC) -Oz -E -x c /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os)
# LTO=1: each program's cold code is compiled as a whole, 28 kB less; for the image alone, as no test can take a function's place there
# (--wrap). That a function sets what it is asked for where it returns no -errno, gcc does not see across files.
ifdef LTO
ifneq ($(filter unit torture,$(MAKECMDGOALS)),)
$(error LTO=1 is for programs alone: no test can take a function's place there)
endif
WHOLE := -flto -flto-partition=one
AR := gcc-ar
endif
else
OPTIMISE = -Os
endif
ALL_CFLAGS = -std=c11 $(OPTIMISE) -g $(WARNINGS) $(SMALL) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = $(if $(WHOLE),$(ALL_CFLAGS) -Wno-maybe-uninitialized) $(LINK_HARDENING) $(LINK_SMALL) $(LINK_INIH) $(LDFLAGS)

# inih is 4 kB of code: into the program where its archive is there, one library less for PID 1 to load. Else as a library:
# it has no .pc file in some distributions, its name is the same everywhere.
INIH_LIBS := $(or $(filter /%,$(shell $(CC) -print-file-name=libinih.a)),$(shell $(PKG_CONFIG) --libs inih 2>/dev/null),-linih)
CURL_LIBS = $(shell $(PKG_CONFIG) --libs libcurl 2>/dev/null || echo -lcurl)
DL_LIBS := -ldl -lpthread # dlopen(3), pthread_create(3): in libc itself since glibc 2.34
CJSON_LIBS = $(shell $(PKG_CONFIG) --libs libcjson 2>/dev/null || echo -lcjson)
CMOCKA_LIBS = $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)

# WITH_SYSTEMD=1: the outer manager is told by libsystemd's sd_notify(3), else by a few lines of our own.
ifdef WITH_SYSTEMD
ifneq ($(shell $(PKG_CONFIG) --exists libsystemd 2>/dev/null && echo yes),yes)
ifeq ($(filter clean help check-deps build-deps uninstall,$(MAKECMDGOALS)),)
$(error WITH_SYSTEMD=1 needs libsystemd: apt-get install libsystemd-dev pkg-config)
endif
endif
SYSTEMD_CFLAGS := -DWITH_SYSTEMD $(shell $(PKG_CONFIG) --cflags libsystemd 2>/dev/null)
SYSTEMD_LIBS := $(shell $(PKG_CONFIG) --libs libsystemd 2>/dev/null)
endif

# BALANCER=no: one Ollama, no Redis; what the image is built with, as it stays small (docs/adr/0019).
BALANCER ?= yes
ifneq ($(filter-out yes no,$(BALANCER)),)
$(error BALANCER is yes or no, not '$(BALANCER)')
endif
ifeq ($(BALANCER),yes)
BALANCER_CPPFLAGS := -DWITH_BALANCER
# As inih: the archive goes into the program.
HIREDIS_LIBS := $(or $(filter /%,$(shell $(CC) -print-file-name=libhiredis.a)),$(shell $(PKG_CONFIG) --libs hiredis 2>/dev/null),-lhiredis)
else
LEFT_OUT := proxy/balance/% proxy/store/%
# … and the unit tests that need it; two of conf's say what a configuration with it is.
TESTS_LEFT_OUT := $(wildcard tests/unit/test_proxy_balance_*.c tests/unit/test_proxy_store_*.c) $(addprefix tests/unit/test_common_conf_,containers.c keys.c) \
	$(shell grep -lE '"(proxy|bench)/(balance|store)/' tests/unit/*.c 2>/dev/null)
endif

# MODELS=no: no model server; what the image is built with, for the same reason.
MODELS ?= yes
ifneq ($(filter-out yes no,$(MODELS)),)
$(error MODELS is yes or no, not '$(MODELS)')
endif
ifeq ($(MODELS),yes)
MODELS_CPPFLAGS := -DWITH_MODELS
else
LEFT_OUT += proxy/serve/% preload/hub/% supervisor/instance% common/conf_engines.o common/engine_words.o
TESTS_LEFT_OUT += tests/unit/test_common_conf_engines.c $(wildcard tests/unit/test_proxy_serve_*.c) \
	$(shell grep -lE '"(preload/hub/|supervisor/instance|common/engine_words)' tests/unit/*.c 2>/dev/null)
endif

# llhttp: the archive, else the library that pkg-config knows, else the C sources that Debian's node-llhttp or PyPI's source
# package have, else the library.
LLHTTP_ARCHIVE := $(filter /%,$(shell $(CC) -print-file-name=libllhttp.a))
ifeq ($(shell $(PKG_CONFIG) --exists libllhttp 2>/dev/null && echo yes),yes)
LLHTTP_CFLAGS := $(shell $(PKG_CONFIG) --cflags libllhttp)
LLHTTP_LIBS := $(or $(LLHTTP_ARCHIVE),$(shell $(PKG_CONFIG) --libs libllhttp))
LLHTTP_OBJECTS :=
else
LLHTTP_SOURCES := $(firstword $(wildcard /usr/share/llhttp/llhttp.c $(BUILD)/llhttp/llhttp.c build/llhttp/llhttp.c))
ifeq ($(LLHTTP_SOURCES),)
LLHTTP_LIBS := -lllhttp # where the flags given lead to it, as replit.nix's do
else
LLHTTP_DIR := $(patsubst %/,%,$(dir $(LLHTTP_SOURCES)))
LLHTTP_CFLAGS := -isystem $(firstword $(wildcard $(LLHTTP_DIR)/include /usr/share/include/llhttp) $(LLHTTP_DIR))
LLHTTP_LIBS :=
LLHTTP_OBJECTS := $(patsubst %,$(BUILD)/obj/llhttp/%.o,api http llhttp)
endif
endif

PROGRAMS := ollama-supervisor ollama-proxy ollama-preload sidecarctl
BINARIES := $(PROGRAMS:%=$(BUILD)/%)
objects = $(filter-out $(LEFT_OUT:%=$(BUILD)/obj/%),$(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)/*.c $(1)/*/*.c)))

COMMON := $(BUILD)/libcommon.a
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(filter-out $(TESTS_LEFT_OUT),$(wildcard tests/unit/test_*.c)))

.PHONY: all run check check-deps build-deps fresh clean help unit lint torture fuzz conformance format static soak bench-supervisor bench bench-proxy bench-optimizer bench-coldstart bench-balance bench-balance-live bench-growth bench-report soak-mixed
.DELETE_ON_ERROR:
.SECONDARY:

# What the programs consist of: for packagers and owners.
PARTS := $(BUILD)/sbom.cdx.json $(BUILD)/NOTICES
all: $(BINARIES) $(PARTS)

$(BUILD)/sbom.cdx.json: WHAT = sbom
$(BUILD)/NOTICES: WHAT = notices
$(PARTS): $(BINARIES) scripts/parts
	@CC='$(firstword $(filter-out ccache,$(CC)))' scripts/parts $(WHAT) '$(FULL_VERSION)' $(BINARIES) -- \
		$(filter /%,$(INIH_LIBS)) $(or $(LLHTTP_SOURCES),$(filter /%,$(LLHTTP_LIBS))) $(filter /%,$(HIREDIS_LIBS)) >$@.new
	@mv $@.new $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/obj/supervisor/outer.o: EXTRA_CFLAGS = $(SYSTEMD_CFLAGS)
$(BUILD)/obj/supervisor/outer.o: $(BUILD)/with-systemd
$(BUILD)/obj/proxy/%.o: EXTRA_CFLAGS = $(LLHTTP_CFLAGS)

# Small rather than fast, as every page of code stays in memory (docs/adr/0008, 0014): but for what each request or token passes, as
# bench/proxy/instructions counts them. Gaps before functions and loops, 12 kB, make none of it less.
HOT := $(addprefix common/,buf timerq watches sys sys_socket loop clocks gap utf8 json_walk json_read json_ends) $(addprefix proxy/, \
	strict strict_chunks http1 message forward fetch relay deliver connection chunk_whole ending answer client client_steps client_sink client_limits \
	client_state resume exchange exchange_life exchange_state exchange_fetch exchange_wait exchange_translate exchange_tokens exchange_key route admit trust_host tell ask gate json_write json_scan json_splice \
	openai_answer openai_chat_answer events ollama_answer form form_field base64)
$(patsubst %,$(BUILD)/obj/%.o,llhttp/% $(HOT)): OPTIMISE = $(if $(NO_HOT),-Os,-O2 -falign-functions=1 -falign-loops=1 $(if $(findstring clang,$(CC)),,-falign-jumps=1))

# What tells the version is compiled again when it changes.
VERSIONED := $(shell grep -l SIDECAR_VERSION common/*.c supervisor/*.c proxy/*.c proxy/*/*.c preload/*.c ctl/*.c tools/*.c)
$(VERSIONED:%.c=$(BUILD)/obj/%.o): $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(FULL_VERSION)' | cmp -s - $@ || echo '$(FULL_VERSION)' >$@

# So is what speaks to systemd, when WITH_SYSTEMD comes or goes.
$(BUILD)/with-systemd: FORCE
	@mkdir -p $(@D)
	@echo '$(WITH_SYSTEMD)' | cmp -s - $@ || echo '$(WITH_SYSTEMD)' >$@

# … and what reads the configuration, when BALANCER, MODELS or LTO does.
$(foreach room,common supervisor proxy preload ctl tools,$(call objects,$(room))): $(BUILD)/with-parts
$(BUILD)/with-parts: FORCE
	@mkdir -p $(@D)
	@echo '$(BALANCER) $(MODELS) $(LTO)' | cmp -s - $@ || echo '$(BALANCER) $(MODELS) $(LTO)' >$@
.PHONY: FORCE
FORCE:

# The script that Redis runs, its pieces in the order of their names, as the numbers of its bytes, without its comments and indents; its lines stay, as Redis
# tells them in errors.
BALANCE_LUA := $(sort $(wildcard proxy/store/balance/*.lua))
$(BUILD)/obj/proxy/store/script.o: $(BUILD)/gen/proxy/store/balance_lua.def
$(BUILD)/gen/proxy/store/balance_lua.def: $(BALANCE_LUA)
	@mkdir -p $(@D)
	sed 's/^[ \t]*//; s/^--.*//' $^ | od -An -v -tu1 | sed 's/[0-9][0-9]*/&,/g' >$@

# The page's files, packed, as the numbers of their bytes; without their comments and indents, their lines stay, as a browser tells them in errors. What the
# scripts import from each other is in one file then, each part of it named in its first line; main.js begins when all others are there.
# gzip ends its pipe, so that there is no program with an empty page where it is not installed.
PACK = sed 's/^ *//; s,^// .*,,; s,^/\* .* \*/$$,,' $< | gzip -9n >$(@:def=gz) && od -An -v -tu1 $(@:def=gz) | sed 's/[0-9][0-9]*/&,/g' >$@
PAGE_SCRIPTS := $(sort $(filter-out %/main.js,$(wildcard proxy/ui/*.js))) proxy/ui/main.js
$(BUILD)/obj/proxy/ui_files.o: $(addprefix $(BUILD)/gen/proxy/ui/,index.html.def style.css.def page.js.def)
$(BUILD)/gen/proxy/ui/page.js: $(PAGE_SCRIPTS)
	@mkdir -p $(@D)
	awk 'FNR == 1 { $$0 = "//" FILENAME } { sub(/^import .*/, ""); sub(/^export /, ""); print }' $^ >$@
$(BUILD)/gen/proxy/ui/%.def: proxy/ui/%
	@mkdir -p $(@D)
	$(PACK)
$(BUILD)/gen/proxy/ui/%.def: $(BUILD)/gen/proxy/ui/%
	$(PACK)

# Generated code of others: its warnings are not ours.
$(BUILD)/obj/llhttp/%.o: $(LLHTTP_DIR)/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(OPTIMISE) -g -w -DLLHTTP_STRICT_MODE=1 $(SMALL) $(HARDENING) $(LLHTTP_CFLAGS) $(CFLAGS) -c $< -o $@

$(COMMON): $(call objects,common)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/ollama-supervisor: $(call objects,supervisor) $(COMMON)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(INIH_LIBS) $(SYSTEMD_LIBS) $(DL_LIBS) $(LDLIBS)

$(BUILD)/ollama-proxy: $(call objects,proxy) $(COMMON) $(LLHTTP_OBJECTS)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(INIH_LIBS) $(LLHTTP_LIBS) $(HIREDIS_LIBS) $(DL_LIBS) $(LDLIBS)

$(BUILD)/sidecarctl: $(call objects,tools) $(call objects,ctl) $(call objects,preload) $(COMMON)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(INIH_LIBS) $(CURL_LIBS) $(CJSON_LIBS) $(DL_LIBS) $(LDLIBS)

# One file, under two names.
$(BUILD)/ollama-preload: $(BUILD)/sidecarctl
	ln -sf sidecarctl $@

# A unit test links every room's objects but the main()s, from archives: only what it needs comes along.
ROOMS := $(foreach room,supervisor proxy preload ctl,$(BUILD)/lib$(room).a)
$(BUILD)/libsupervisor.a: $(filter-out %/main.o,$(call objects,supervisor))
	@rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libproxy.a: $(filter-out %/main.o,$(call objects,proxy)) $(LLHTTP_OBJECTS)
	@rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libpreload.a: $(call objects,preload)
	@rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libctl.a: $(call objects,ctl)
	@rm -f $@; $(AR) rcs $@ $^

$(BUILD)/obj/tests/unit/test_proxy_%.o: EXTRA_CFLAGS = $(LLHTTP_CFLAGS)

# Where a test sets the clock, or refuses a call.
$(BUILD)/unit/test_supervisor_handshakes: WRAPPED = -Wl,--wrap=sys_socket
$(BUILD)/unit/test_supervisor_doors: WRAPPED = -Wl,--wrap=sys_listen_no_more
$(BUILD)/unit/test_proxy_balance_resolve: WRAPPED = -Wl,--wrap=sys_each_address,--wrap=sys_start_thread
$(BUILD)/unit/test_proxy_balance_members_names: WRAPPED = -Wl,--wrap=sys_each_address
$(BUILD)/unit/test_common_loop_clock: WRAPPED = -Wl,--wrap=sys_monotonic_ms,--wrap=sys_poll,--wrap=sys_epoll_wait
# One plays machines, as bench/balance/simulate does.
PLAYED := $(patsubst %,$(BUILD)/obj/bench/balance/%.o,figures play trace)
$(BUILD)/unit/test_proxy_balance_figures: $(PLAYED)
$(BUILD)/unit/test_proxy_balance_figures: PLAYS = $(PLAYED) -lm

$(BUILD)/unit/test_%: $(BUILD)/obj/tests/unit/test_%.o $(ROOMS) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(WRAPPED) -o $@ $< $(PLAYS) $(ROOMS) $(COMMON) $(CMOCKA_LIBS) $(INIH_LIBS) $(LLHTTP_LIBS) $(HIREDIS_LIBS) $(CURL_LIBS) $(CJSON_LIBS) $(SYSTEMD_LIBS) $(DL_LIBS) $(LDLIBS)

# The torture links the supervisor's rooms with a wrapper around each call that can fail (tests/torture/calls.def).
TORTURED := $(shell sed -n 's/^CALL[A-Z_]*.[^,]*, \([a-z_]*\),.*/\1/p' tests/torture/calls.def 2>/dev/null) free sys_close_from
$(BUILD)/torture/torture: $(filter-out %/child.o %/proxy_faults.o,$(call objects,tests/torture)) $(BUILD)/libsupervisor.a $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(TORTURED:%=-Wl,--wrap=%) -o $@ $^ $(INIH_LIBS) $(DL_LIBS) $(LDLIBS)
# … and the proxy's, with its own main().
$(BUILD)/torture/proxy: $(BUILD)/obj/tests/torture/proxy_faults.o $(BUILD)/obj/tests/torture/faults.o $(call objects,proxy) $(COMMON) $(LLHTTP_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(TORTURED:%=-Wl,--wrap=%) -o $@ $^ $(INIH_LIBS) $(LLHTTP_LIBS) $(HIREDIS_LIBS) $(DL_LIBS) $(LDLIBS)
# Its children are started thousands of times: no sanitizer. Two names make it our own programs.
$(BUILD)/torture/child: tests/torture/child.c common/contract.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -std=c11 -O2 $(WARNINGS) -o $@ $<
	ln -sf child $(@D)/ollama-proxy
	ln -sf child $(@D)/ollama-preload

torture: $(BUILD)/torture/torture $(BUILD)/torture/child $(BUILD)/torture/proxy
	BUILD_DIR=$(BUILD) tests/torture/run
	BUILD_DIR=$(BUILD) build/venv/bin/python tests/torture/proxy

# Some wait more than they work. All are run, whichever fails.
unit: $(TESTS)
	@printf '%s\n' $(TESTS) | xargs -P 8 -n 1 tests/unit/one

lint: $(BUILD)/ollama-supervisor
	@for file in $(HOT:%=%.c); do [ -e "$$file" ] || { echo "Makefile: HOT names $$file, which is not there" >&2; exit 1; }; done
	tests/lint/run
	BUILD_DIR=$(BUILD) scripts/gen-docs --check

# build/static/ollama-supervisor needs no library at all. inih's archive was made for glibc: of what musl's headers would name
# otherwise it has fopen64 alone, which nothing calls. The kernel's own headers are for every libc; musl-gcc looks for neither.
MUSL_CC ?= musl-gcc
FOREIGN_HEADERS = $(wildcard /usr/include/ini.h /usr/include/linux /usr/include/asm-generic) \
	$(firstword $(wildcard /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)/asm /usr/include/asm))
static:
	@command -v $(MUSL_CC) >/dev/null || { echo 'make static: there is no $(MUSL_CC): install musl-tools, or set MUSL_CC' >&2; exit 1; }
	@mkdir -p $(BUILD)/static/include
	$(if $(strip $(FOREIGN_HEADERS)),@ln -sfn $(FOREIGN_HEADERS) $(BUILD)/static/include/)
	$(MAKE) --no-print-directory STATIC=1 BUILD=$(BUILD)/static CC=$(MUSL_CC) $(BUILD)/static/ollama-supervisor

# bench/stamp starts fast where it can be linked statically; where it can't, all are slower alike.
$(BUILD)/bench/stamp: bench/stamp.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O2 $(WARNINGS) $(CFLAGS) -static -o $@ $< 2>/dev/null || \
		$(CC) -std=c11 -D_GNU_SOURCE -O2 $(WARNINGS) $(CFLAGS) -o $@ $<

bench-supervisor: $(BUILD)/ollama-supervisor $(BUILD)/bench/stamp
	BUILD_DIR=$(BUILD) bench/supervisor $(BENCH)

# The loader, the emitter and the bare relay of bench/proxy; never installed.
PROXY_BENCH := $(patsubst bench/proxy/%.c,$(BUILD)/bench/%,$(wildcard bench/proxy/*.c))
$(PROXY_BENCH): $(BUILD)/bench/%: bench/proxy/%.c bench/proxy/bench.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARNINGS) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LDFLAGS) $(LDLIBS)

# BENCH="--rounds 1 --window 1" is a quick look, --save writes bench/results.
bench-proxy: $(BUILD)/ollama-proxy $(PROXY_BENCH)
	BUILD_DIR=$(BUILD) bench/proxy/run $(BENCH)

# What reading and shortening prompts costs, from 1 KB to 10 MB.
$(BUILD)/bench/prompt: $(BUILD)/obj/bench/optimizer/prompt.o $(BUILD)/libproxy.a $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(INIH_LIBS) $(LLHTTP_LIBS) $(DL_LIBS) $(LDLIBS)

bench-optimizer: $(BUILD)/bench/prompt $(BUILD)/ollama-proxy
	BUILD_DIR=$(BUILD) bench/printed $(BENCH) optimizer $(BUILD)/bench/prompt $(BENCH_PROMPT)

# The proxy's own queue, over machines that are played: beside other ways to distribute requests; and, for who is to decide the same, by a script.
$(BUILD)/bench/simulate: $(PLAYED)
$(BUILD)/bench/simulate $(BUILD)/bench/assign: $(BUILD)/bench/%: $(BUILD)/obj/bench/balance/%.o $(BUILD)/libproxy.a $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libproxy.a $(COMMON) $(INIH_LIBS) $(LLHTTP_LIBS) $(DL_LIBS) -lm $(LDLIBS)

bench-balance: $(BUILD)/bench/simulate $(BUILD)/ollama-proxy
	BUILD_DIR=$(BUILD) bench/printed $(BENCH) balance $(BUILD)/bench/simulate $(BENCH_TRACES)

# BENCH="--rounds 5" is a quick look, --save writes bench/results.
bench-coldstart: all
	BUILD_DIR=$(BUILD) bench/coldstart $(BENCH)

# Played Ollamas behind nginx, HAProxy and the proxy. BENCH="--rounds 1 --window 20 --warm 5" is a quick look.
bench-balance-live: $(BUILD)/ollama-proxy
	BUILD_DIR=$(BUILD) bench/balance/live/run $(BENCH)

# How what the proxy spends grows, with streams, bodies, backends and requests in line.
bench-growth: $(BUILD)/ollama-proxy $(BUILD)/bench/loader $(BUILD)/bench/emitter
	BUILD_DIR=$(BUILD) bench/growth/run $(BENCH)

# All of it, one after the other, and bench/results/report.md of it. BENCH_QUICK=1: a short look, in under ten minutes, which is kept in build/bench/quick.
# A part that ends with 1, as an aim is missed, stops nothing: the report tells it; make ends with 1 in the end.
QUICK := $(if $(filter 1,$(BENCH_QUICK)),quick)
BENCH_PARTS := supervisor coldstart proxy growth balance balance-live optimizer
BENCH_OPTIONS_supervisor := $(if $(QUICK),--rounds 3 --idle 1)
BENCH_OPTIONS_coldstart := $(if $(QUICK),--rounds 3)
BENCH_OPTIONS_proxy := $(if $(QUICK),--rounds 1 --window 1 --only s1$(COMMA)s100$(COMMA)s500$(COMMA)s1000$(COMMA)s4000$(COMMA)requests)
BENCH_OPTIONS_growth := $(if $(QUICK),--rounds 1 --window 2)
BENCH_OPTIONS_balance-live := $(if $(QUICK),--rounds 1 --window 15 --warm 3)
bench: export BENCH_RESULTS := $(or $(BENCH_RESULTS),$(if $(QUICK),$(BUILD)/bench/quick))
bench: all
	@code=0; \
	$(foreach part,$(BENCH_PARTS),$(MAKE) --no-print-directory bench-$(part) BENCH='--save $(BENCH_OPTIONS_$(part))' $(if $(QUICK),BENCH_PROMPT=1000000 BENCH_TRACES='5 1000') || code=1;) \
	bench/report && exit $$code

bench-report:
	bench/report

# Installs what is missing (as root, or by sudo), builds, starts. PROFILE=NAME: deploy/profiles/NAME.ini; ATTACH=1: in
# front of an Ollama that runs already.
run:
	@PROFILE='$(PROFILE)' ATTACH='$(ATTACH)' scripts/run

build-deps:
	@scripts/deps build

check-deps:
	@scripts/deps all

check:
	@scripts/check

# The two commands of README.md, whole, in minimal systems of other releases: an hour and more.
fresh: all
	build/venv/bin/python -m pytest --version >/dev/null 2>&1 || scripts/deps test
	FRESH_SUITES='$(SUITES)' FRESH_LANES= build/venv/bin/python -m pytest -s -rs tests/fresh -p no:cacheprovider

# Each case of HTTP/1.1 at ours and beside others: docs/conformance.md
conformance: $(BUILD)/ollama-proxy
	BUILD_DIR=$(BUILD) build/venv/bin/python tests/conformance/run $(BENCH)

# Every parser for FUZZ_S seconds, side by side at the lowest priority, then the lines that were reached. What was found worth keeping starts the next.
fuzz:
	tests/fuzz/run $(or $(FUZZ_S),3600)
	tests/fuzz/coverage

# Hours of what `make check` does for seconds: wake-serve-sleep cycles with kills, clients at the moment of sleep, a storm of clients,
# four proxies on one Redis with kills, stops and restarts, mixed load with aborts and faults, streams that pause (with the clients that `make check-deps` installs).
soak: all
	CYCLES=$(or $(CYCLES),1000) EDGE_ROUNDS=$(or $(EDGE_ROUNDS),5000) SOAK_S=$(or $(SOAK_S),1800) build/venv/bin/python -m pytest -s -n 3 -p no:cacheprovider \
		tests/e2e/test_59_cycles.py tests/e2e/test_51_edge.py tests/e2e/test_25_soak.py
	BALANCER_SOAK_S=$(or $(BALANCER_SOAK_S),600) build/venv/bin/python -m pytest -s -p no:cacheprovider tests/soak/test_soak.py
	$(MAKE) --no-print-directory soak-mixed
	PAUSE_S=$(or $(PAUSE_S),900) build/venv/bin/python -m pytest -p no:cacheprovider tests/clients/test_waiting_while_nothing_comes.py

# Mixed load on one sidecar, with aborts and faults. SOAK_SAVE=1 keeps bench/results/soak.*, and the report made of it.
soak-mixed: all
	MIXED_SOAK_S=$(or $(MIXED_SOAK_S),5400) SOAK_SAVE=$(SOAK_SAVE) build/venv/bin/python -m pytest -s -p no:cacheprovider tests/soak/test_mixed.py
	$(if $(SOAK_SAVE),bench/report)

include scripts/install.mk

clean:
	rm -rf build

help:
	@echo 'make run         install what is missing, build, start (PROFILE=NAME, ATTACH=1)'
	@echo 'make check       install what is missing, build, run the tests'
	@echo 'make check-deps  install what every lane of the tests needs'
	@echo 'make all         build into build/ (BUILD=DIR, SAN=address,undefined, WERROR=1, WITH_SYSTEMD=1, BALANCER=no, MODELS=no, LTO=1)'
	@echo 'make unit lint   the fast parts of make check'
	@echo 'make torture     BUILD=build/asan SAN=address,undefined: each call of the supervisor, and of the proxy, fails once (TORTURE_FULL=1)'
	@echo 'make fresh       make run and the whole make check in minimal Debian systems, for an hour (SUITES="bookworm trixie")'
	@echo 'make conformance each case of HTTP/1.1 at ours, nginx and HAProxy (BENCH=--save writes docs/conformance.md)'
	@echo 'make fuzz        every parser, for an hour (FUZZ_S=3600), then which lines were reached'
	@echo 'make soak        for hours: cycles of wake, serve and sleep with kills; clients at the edge of sleep; a storm; proxies on one Redis; mixed load; streams that pause (CYCLES, EDGE_ROUNDS, SOAK_S, BALANCER_SOAK_S, MIXED_SOAK_S, PAUSE_S)'
	@echo 'make soak-mixed  the mixed load alone, for an hour and a half (MIXED_SOAK_S); SOAK_SAVE=1: bench/results/soak.*'
	@echo 'make static      build/static/ollama-supervisor, which needs no library (MUSL_CC=musl-gcc)'
	@echo 'make bench       measure all, and bench/results/report.md of it (bench/README.md); BENCH_QUICK=1: a short look; bench-proxy, -optimizer, -balance, -balance-live, -supervisor, -coldstart, -growth: one'
	@echo 'make install     PREFIX=/usr/local DESTDIR= (each folder: scripts/install.mk); make uninstall'
	@echo 'make dist        build/ollama-sidecar-$(VERSION).tar.gz of the last commit'
	@echo 'make clean       remove build/'

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
