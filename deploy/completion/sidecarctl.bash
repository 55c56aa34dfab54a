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

# Of the requests that are under way, and of models.
_sidecarctl_requests()
{
    timeout 1 "$@" --json requests 2>/dev/null </dev/null | grep -o '"id":"[A-Za-z0-9_.-]*"' | cut -d '"' -f 4
}

_sidecarctl_models()
{
    timeout 1 "$@" --json models 2>/dev/null </dev/null | grep -o '"name":"[A-Za-z0-9_./:-]*"' | cut -d '"' -f 4
}

# The line's words into `line`: names of models and engines have colons, at which readline cuts them.
_sidecarctl_words()
{
    local word last=-1
    for word in "${COMP_WORDS[@]:0:COMP_CWORD + 1}"; do
        if [[ $last -gt 0 && $word && ($word == :* || ${line[last]} == *:) ]]; then
            line[last]+=$word
        else
            line[++last]=$word
        fi
    done
}

_sidecarctl()
{
    local cur prev verb='' names=0 words='' i
    local -a line=() asked=("${COMP_WORDS[0]}")
    _sidecarctl_words
    local last=$((${#line[@]} - 1))
    cur=${line[last]} prev=${line[last - 1]}
    for ((i = 1; i < last; i++)); do
        case ${line[i]} in
        -s | -c) asked+=("${line[i]}" "${line[++i]}") ;;
        -n) ((++i)) ;;
        -*) ;;
        *) if [ "$verb" ]; then names=$((names + 1)); else verb=${line[i]}; fi ;;
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
    tail:-*) words='-f -n -s -c --json --no-color' ;;
    health:-*) words='--ready -s -c --json --no-color' ;;
    top:-*) words='-n -s -c --json --no-color' ;;
    bench:-*) words='-n --cold -s -c --json --no-color' ;;
    ?*:-*) words='-s -c --json --no-color' ;;
    :-*) words='-s -c -h --json --no-color --help --version' ;;
    :*) words='status top why start stop restart reload tail health requests cancel models load unload pull bench backends drain undrain dump new-key help' ;;
    start:* | stop:* | restart:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_programs "${asked[@]}") ;;
    drain:* | undrain:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_backends "${asked[@]}") ;;
    cancel:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_requests "${asked[@]}") ;;
    load:* | unload:* | pull:* | bench:*) [ "$names" -gt 0 ] || words=$(_sidecarctl_models "${asked[@]}") ;;
    tail:*) words=$(_sidecarctl_programs "${asked[@]}") ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    [[ $cur == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}") # what stands before the colon stays
}

complete -F _sidecarctl sidecarctl
