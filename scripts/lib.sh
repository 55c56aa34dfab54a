# What the scripts here share. To be sourced from the project's root.

if [ -t 2 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }
die() { printf '%serror:%s %s\n' "$bold" "$plain" "$*" >&2; exit 1; }

have_command() { command -v "$1" >/dev/null 2>&1; }
have_header() { have_command gcc && printf '#include <stddef.h>\n#include <stdarg.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <%s>\n' "$1" | gcc -E -x c - >/dev/null 2>&1; }
have_module() { have_command python3 && python3 -c "import $1, ensurepip" 2>/dev/null; }

have_llhttp() {
    { have_command pkg-config && pkg-config --exists libllhttp 2>/dev/null; } ||
        [ -f /usr/share/llhttp/llhttp.c ] || [ -f build/llhttp/llhttp.c ]
}

apt_offers() { [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | grep -v none)" ]; }

# Debian 12 has the C sources in node-llhttp; elsewhere that package may be without them.
apt_ships_llhttp_c() { grep -q '^VERSION_ID="12"' /etc/os-release && grep -q '^ID=debian' /etc/os-release; }

clang_runtime() {
    local version
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    echo "libclang-rt-${version:-14}-dev"
}
have_fuzzer() { have_command clang && echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9 ? 0 : 0; }' | clang -x c -fsanitize=fuzzer - -o /dev/null 2>/dev/null; }

have_browser() { have_command chromium-headless-shell || have_command chromium || have_command google-chrome; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    elif have_command sudo; then
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

apt_updated=
apt_update_once() {
    [ -z "$apt_updated" ] || return 0
    have_command apt-get || die "only Debian and Ubuntu are set up by this script; install what is named above by hand"
    as_root apt-get update -q >/dev/null 2>&1 || die "apt-get update failed"
    apt_updated=yes
}
