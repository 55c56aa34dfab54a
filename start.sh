#!/usr/bin/env bash
# The Replit workspace's run command: builds what is not built yet, and starts Ollama with the sidecar in front, on port
# 3000. Variables that are set already (Secrets) stay.
set -eu
cd "$(dirname "$0")"

export OLLAMA_HOST="${OLLAMA_HOST:-0.0.0.0:8000}"
export OLLAMA_NUM_PARALLEL="${OLLAMA_NUM_PARALLEL:-1}"
export OLLAMA_MAX_QUEUE="${OLLAMA_MAX_QUEUE:-64}"
export OLLAMA_KEEP_ALIVE="${OLLAMA_KEEP_ALIVE:-5m}"
export OLLAMA_CONTEXT_LENGTH="${OLLAMA_CONTEXT_LENGTH:-2048}"
# In the workspace, which outlives a restart; the home folder may not.
export OLLAMA_MODELS="${OLLAMA_MODELS:-${OLLAMA_MODEL_CACHE_DIR:-$PWD/data/models}}"

die() { printf 'start.sh: %s\n' "$*" >&2; exit 1; }

if ! command -v ollama >/dev/null 2>&1; then
    if [ "${OLLAMA_INSTALL:-}" = yes ]; then
        curl -fsSL https://ollama.com/install.sh | sh || die "Ollama's installer failed"
        command -v ollama >/dev/null 2>&1 || die "Ollama was installed, but is not on PATH"
    else
        die "there is no ollama. Choose a channel that has it ([nix] channel in .replit, such as stable-25_05) and reload \
the shell, or run this with OLLAMA_INSTALL=yes for Ollama's official installer."
    fi
fi

# The web origins of this workspace, for deploy/profiles/replit.ini.
origins=
for domain in $(printf '%s' "${REPLIT_DOMAINS:-},${REPLIT_DEV_DOMAIN:-}" | tr ',' ' '); do
    origins="$origins${origins:+, }https://$domain"
done
export REPLIT_ORIGINS="$origins"

# make builds only what is missing or out of date; build/ outlives a restart too.
flags() { pkg-config "$1" inih libcurl libcjson 2>/dev/null || true; }
if command -v apt-get >/dev/null 2>&1; then scripts/deps build; fi
make --no-print-directory -s -j"$(nproc)" CPPFLAGS="$(flags --cflags)" LDFLAGS="$(flags --libs-only-L)" all ||
    die "the sidecar could not be built; what it needs is in replit.nix"

exec build/ollama-supervisor -c deploy/profiles/replit.ini
