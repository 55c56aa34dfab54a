# Completion of ollama-supervisor, ollama-proxy and ollama-preload for bash 4 or newer; bash-completion loads it by any of these names.

_ollama_sidecar()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} options='-c -h --check --dump --help --version' operands='' i
    COMPREPLY=()
    [ "${COMP_WORDS[0]##*/}" != ollama-preload ] || options="$options --hub"
    if [ "${COMP_WORDS[0]##*/}" = ollama-supervisor ]; then
        options="$options --"
        operands='serve run pull list ps show stop rm cp create push' # of Ollama's, run as one command
        for ((i = 1; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            --) ;;
            -c) ((++i)) && continue ;;
            -*) continue ;;
            *) return ;; # what is behind it is Ollama's
            esac
            if [ "$i" = $((COMP_CWORD - 1)) ]; then
                mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u)
            elif declare -F _command_offset >/dev/null; then
                _command_offset $((i + 1)) # bash-completion knows how the command's own words are completed
            else
                compopt -o default 2>/dev/null
            fi
            return
        done
    fi
    case $prev:$cur in
    -c:*)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    *:-*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$operands" -- "$cur") ;;
    esac
}

complete -F _ollama_sidecar ollama-supervisor ollama-proxy ollama-preload
