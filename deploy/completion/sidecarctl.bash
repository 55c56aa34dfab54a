# Completion of sidecarctl for bash 4 or newer. It needs nothing else; bash-completion loads it by its name.

# The programs of the supervisor that answers where -s or -c (words of the line) say; nothing where none does, after a second.
# Who answers may be anybody's, and compgen -W would run what stands in $(…): names of nothing else than these characters.
_sidecarctl_programs()
{
    timeout 1 "$@" --json status 2>/dev/null </dev/null | grep -o '"name":"[A-Za-z0-9_.-]*"' | cut -d '"' -f 4
}

# Of several Ollamas those that the proxy tells of.
_sidecarctl_backends()
{
    timeout 1 "$@" --json backends 2>/dev/null </dev/null | grep -o '"name":"[A-Za-z0-9_./:-]*"' | cut -d '"' -f 4
}

_sidecarctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' names=0 words='' i
    local -a asked=("${COMP_WORDS[0]}")
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | -c) asked+=("${COMP_WORDS[i]}" "${COMP_WORDS[++i]}") ;;
        -n) ((++i)) ;;
        -*) ;;
        *) if [ "$verb" ]; then names=$((names + 1)); else verb=${COMP_WORDS[i]}; fi ;;
        esac
    done
    COMPREPLY=()
    case $prev in
    -s | -c)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    -n) return ;;
    esac
    case $verb:$cur in
    tail:-*) words='-f -n -s -c --json' ;;
    health:-*) words='--ready -s -c --json' ;;
    ?*:-*) words='-s -c --json' ;;
    :-*) words='-s -c -h --json --help --version' ;;
    :*) words='status start stop restart reload tail health backends drain undrain dump new-key help' ;;
    start:* | stop:* | restart:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_programs "${asked[@]}") ;;
    drain:* | undrain:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_backends "${asked[@]}") ;;
    tail:*) words=$(_sidecarctl_programs "${asked[@]}") ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _sidecarctl sidecarctl
