# What `make install` installs, and where: one list, by which `make uninstall` goes too. To be included by the Makefile.
#
# Each folder can be set by itself. Below /usr, where packages go, those of other programs are asked for by pkg-config, as
# distributions differ; elsewhere they are in PREFIX. DESTDIR stands before every one; no folder has a space or | in its name.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/ollama-sidecar
PROFILEDIR ?= $(DATADIR)/ollama-sidecar/profiles
PROMETHEUSDIR ?= $(DATADIR)/ollama-sidecar/prometheus
GRAFANADIR ?= $(DATADIR)/ollama-sidecar/grafana
SYSCONFDIR ?= /etc
CONFDIR ?= $(SYSCONFDIR)/ollama-sidecar
DESTDIR ?=

# $(call folder_of,PACKAGE,VARIABLE,ELSE)
folder_of = $(or $(if $(filter /usr,$(PREFIX)),$(shell $(PKG_CONFIG) --variable=$(2) $(1) 2>/dev/null)),$(3))
SYSTEMDUNITDIR ?= $(call folder_of,systemd,systemdsystemunitdir,$(PREFIX)/lib/systemd/system)
SYSUSERSDIR ?= $(call folder_of,systemd,sysusersdir,$(PREFIX)/lib/sysusers.d)
TMPFILESDIR ?= $(call folder_of,systemd,tmpfilesdir,$(PREFIX)/lib/tmpfiles.d)
BASHCOMPLETIONDIR ?= $(call folder_of,bash-completion,completionsdir,$(DATADIR)/bash-completion/completions)
ZSHCOMPLETIONDIR ?= $(DATADIR)/zsh/site-functions
FISHCOMPLETIONDIR ?= $(call folder_of,fish,completionsdir,$(DATADIR)/fish/vendor_completions.d)

# start.sh's own profile, replit.ini, is left out: it is of use in a workspace only.
#
# $(call each,KIND,FOLDER,FILES): words that scripts/install-files reads; the kinds are explained there.
each = $(foreach file,$(3),$(1)|$(2)/$(notdir $(file))|$(file))
MANUALS := $(wildcard docs/man/*.[1-8])
INSTALLED = $(call each,program,$(BINDIR),$(BINARIES)) \
	$(foreach page,$(MANUALS),$(call each,file,$(MANDIR)/man$(subst .,,$(suffix $(page))),$(page))) \
	$(call each,config,$(CONFDIR),$(CONFIGURATION)) \
	$(call each,text,$(SYSTEMDUNITDIR),$(wildcard deploy/systemd/*.service)) \
	text|$(SYSUSERSDIR)/ollama-sidecar.conf|deploy/systemd/sysusers.conf \
	text|$(TMPFILESDIR)/ollama-sidecar.conf|deploy/systemd/tmpfiles.conf \
	$(foreach file,$(wildcard deploy/completion/*.bash),file|$(BASHCOMPLETIONDIR)/$(basename $(notdir $(file)))|$(file)) \
	$(call each,file,$(ZSHCOMPLETIONDIR),$(wildcard deploy/completion/_*)) \
	$(call each,file,$(FISHCOMPLETIONDIR),$(wildcard deploy/completion/*.fish)) \
	$(call each,text,$(PROFILEDIR),$(filter-out %/replit.ini,$(wildcard deploy/profiles/*.ini))) \
	$(call each,file,$(PROMETHEUSDIR),$(wildcard deploy/prometheus/*.yml)) \
	$(call each,file,$(PROMETHEUSDIR)/rules,$(wildcard deploy/prometheus/rules/*.yml)) \
	$(call each,file,$(PROMETHEUSDIR)/targets,$(wildcard deploy/prometheus/targets/*.yml)) \
	$(call each,file,$(GRAFANADIR),$(wildcard deploy/grafana/dashboards/*.json)) \
	$(call each,file,$(DOCDIR),$(wildcard README.md README.pt.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE) $(PARTS)) \
	$(call each,file,$(DOCDIR)/docs,$(wildcard docs/*.md docs/*.example)) $(call each,file,$(DOCDIR)/docs/adr,$(wildcard docs/adr/*.md))

# The configuration of the services of the system; a packager may have another list of models.
CONFIGURATION ?= deploy/systemd/supervisor.ini deploy/profiles/optimizer.ini preload-models.txt models.json

# Words of a list, which such a name would be cut by.
FOLDERS = PREFIX BINDIR DATADIR MANDIR DOCDIR PROFILEDIR PROMETHEUSDIR GRAFANADIR SYSCONFDIR CONFDIR SYSTEMDUNITDIR SYSUSERSDIR TMPFILESDIR BASHCOMPLETIONDIR \
	ZSHCOMPLETIONDIR FISHCOMPLETIONDIR
ODD_FOLDERS = $(strip $(foreach name,$(FOLDERS),$(if $(or $(findstring |,$($(name))),$(word 2,$($(name)))),$(name))))
check-folders:
	@[ -z '$(ODD_FOLDERS)' ] || { echo 'make: $(firstword $(ODD_FOLDERS)) has a blank or | in its name' >&2; exit 1; }

.PHONY: install uninstall dist check-folders

install: check-folders all
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' CONFDIR='$(CONFDIR)' DOCDIR='$(DOCDIR)' \
		scripts/install-files install $(INSTALLED:%='%')

uninstall: check-folders
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' CONFDIR='$(CONFDIR)' DOCDIR='$(DOCDIR)' \
		scripts/install-files uninstall $(INSTALLED:%='%')

# The last commit, byte by byte the same wherever it is made.
DIST := $(BUILD)/ollama-sidecar-$(VERSION)
dist:
	@git rev-parse --verify -q HEAD >/dev/null || { echo 'make dist: this is no git repository' >&2; exit 1; }
	@mkdir -p $(BUILD)
	@git diff --quiet HEAD || echo 'make dist: what is not committed is not in it' >&2
	@git archive --format=tar --prefix=ollama-sidecar-$(VERSION)/ -o $(DIST).tar HEAD
	@gzip -n -9 -f $(DIST).tar
	@echo '$(DIST).tar.gz'
