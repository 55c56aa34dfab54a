#!/usr/bin/env bash
# The Replit workspace's run command: builds what is not built yet, and starts Ollama with the sidecar in front, on port
# 3000. Variables that are set already (Secrets) stay. Debian and Ubuntu will do as well.
set -euf
cd "$(dirname "$0")"

export OLLAMA_HOST="${OLLAMA_HOST:-0.0.0.0:8000}"
export OLLAMA_NUM_PARALLEL="${OLLAMA_NUM_PARALLEL:-1}"
export OLLAMA_MAX_QUEUE="${OLLAMA_MAX_QUEUE:-64}"
export OLLAMA_KEEP_ALIVE="${OLLAMA_KEEP_ALIVE:-5m}"
export OLLAMA_CONTEXT_LENGTH="${OLLAMA_CONTEXT_LENGTH:-2048}"
# What .replit publishes, whatever PORT says.
export OLLAMA_HTTP_PORT="${OLLAMA_HTTP_PORT:-3000}"
# One Ollama: what is for several is not built, and hiredis not needed; nor what serves models without it.
export BALANCER="${BALANCER:-no}"
export MODELS="${MODELS:-no}"
# Ollama keeps a key there, and does not start without.
export HOME="${HOME:-$PWD/data/home}"
# In the workspace, which outlives a restart; the home folder may not.
export OLLAMA_MODELS="${OLLAMA_MODELS:-${OLLAMA_MODEL_CACHE_DIR:-$PWD/data/models}}"

say() { printf 'start.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Never the tests' stand-in, which answers with made-up words.
need_ollama() {
    command -v ollama >/dev/null 2>&1 && return
    [ "${OLLAMA_INSTALL:-}" = yes ] || die "there is no ollama. Choose a channel of Nix that has it ([nix] channel in .replit, \
such as stable-25_05) and reload the workspace (\`kill 1\` in its shell), or set OLLAMA_INSTALL=yes for Ollama's official installer."
    say "running Ollama's official installer"
    mkdir -p build
    curl -fsSL https://ollama.com/install.sh >build/ollama-install.sh || die "https://ollama.com/install.sh could not be fetched"
    sh build/ollama-install.sh || die "Ollama's installer failed (it needs root); see above"
    hash -r
    command -v ollama >/dev/null 2>&1 || die "Ollama's installer has ended well, but there is no ollama on PATH ($PATH)"
}

# The web origins of this workspace, for deploy/profiles/replit.ini; in REPLIT_ORIGINS you may have named more of them.
name_origins() {
    local domains domain origins=${REPLIT_ORIGINS:-}
    IFS=', ' read -ra domains <<<"${REPLIT_DOMAINS:-},${REPLIT_DEV_DOMAIN:-}"
    for domain in "${domains[@]}"; do
        [ -z "$domain" ] || origins="$origins${origins:+, }https://$domain"
    done
    export REPLIT_ORIGINS=$origins
}

# Replit adds ports to .replit by itself when somebody listens there: Ollama's own would let strangers change models.
warn_of_published_ollama() {
    local key value inner= outer= port=${OLLAMA_HOST##*:}
    port=${port%%[!0-9]*}
    [ -f .replit ] || return 0
    # the last line may have no end, others a \r or a comment
    while IFS=$'= \t\r' read -r key value _ || [ -n "$key" ]; do
        case $key in
        '['*) inner= outer= ;;
        localPort) inner=$value ;;
        externalPort) outer=$value ;;
        esac
        if [ "$inner" = "$port" ] && [ "$port" != "$OLLAMA_HTTP_PORT" ] && [ -n "$outer" ]; then
            say "WARNING: .replit publishes Ollama's own port $port as $outer: anybody may change its models there. Remove that [[ports]]."
        fi
    done <.replit
}

# The text preset's model is there before anybody asks; where there is no such preset, the profile's is not wanted; and of several models
# the first request finds out which one it is.
choose_preload() {
    local model
    if [ -z "${OLLAMA_PRELOAD_MODELS:-}" ] && command -v jq >/dev/null 2>&1; then
        # a file with mistakes is told by the supervisor
        model=$(jq -r '[to_entries[] | select((.value.for // {cheap_text: "text"}[.key]) == "text")][0].value.model
                       | if . == null then "none" elif type != "array" then . elif length == 1 then .[0] else "none" end | strings' models.json 2>/dev/null) || model=
        [ -z "$model" ] || export OLLAMA_PRELOAD_MODELS=$model
    fi
}

programs="ollama-supervisor ollama-proxy ollama-preload sidecarctl"
sources="Makefile common supervisor proxy preload ctl tools"
# Another compiler or other libraries, as after a change of the channel: all is built again.
built_with() { printf '%s\n' "$(command -v "${CC:-cc}" || true) ${REPLIT_CPPFLAGS:-} ${REPLIT_LDFLAGS:-} $BALANCER $MODELS"; }

has_all() {
    local program
    for program in $programs; do
        [ -x "build/$program" ] || return 1
    done
}

# Some of it is of another build, or will not run.
is_stale() {
    local program
    [ ! -e build/start.built ] || [ "$(cat build/start.built)" = "$(built_with)" ] || return 0
    for program in $programs; do
        [ ! -e "build/$program" ] || "build/$program" --version >/dev/null 2>&1 || return 0
    done
    return 1
}

# shellcheck disable=SC2086
is_built() { has_all && [ -e build/start.built ] && ! is_stale && [ -z "$(find $sources -newer build/start.built -print -quit)" ]; }

# Into build/, which outlives a restart too. REPLIT_CPPFLAGS and REPLIT_LDFLAGS are replit.nix's.
build() {
    local all= jobs
    jobs=$(nproc)
    if [ -z "${REPLIT_CPPFLAGS:-}" ] && command -v apt-get >/dev/null 2>&1; then scripts/deps build; fi
    if is_stale; then all=-B; fi
    mkdir -p build
    built_with >build/start.new.$$ # as old as the build's beginning: what changes meanwhile is built by the next start
    say "building, which takes a minute; the next start builds nothing"
    make --no-print-directory -s $all -j$((jobs < 4 ? jobs : 4)) \
        CPPFLAGS="${CPPFLAGS:-} ${REPLIT_CPPFLAGS:-}" LDFLAGS="${LDFLAGS:-} ${REPLIT_LDFLAGS:-}" all ||
        die "the sidecar could not be built, see above. What it needs is in replit.nix: after a change there, or of the channel, reload the \
workspace (\`kill 1\` in its shell). \`rm -r build\` makes the next start begin anew."
    mv build/start.new.$$ build/start.built
}

need_ollama
name_origins
warn_of_published_ollama
choose_preload
is_built || build
exec build/ollama-supervisor -c deploy/profiles/replit.ini "$@"
