# Completion of sidecarctl for fish.

# What a verb tells with --json under a key, of who answers where -s or -c say; nothing where nobody does, after a second.
function __sidecarctl_told
    set -l words (commandline -opc)
    set -l asked $words[1]
    for i in (seq 2 (math (count $words) - 1))
        contains -- $words[$i] -s -c; and set -a asked $words[$i] $words[(math $i + 1)]
    end
    timeout 1 $asked --json $argv[1] 2>/dev/null </dev/null | string match -ar "\"$argv[2]\":\"[^\"]*\"" | string replace -r '.*:"(.*)"' '$1'
end

# True where the word is a program's name: behind the verb, once where $argv[1] is "one".
function __sidecarctl_takes_program
    set -l words (commandline -opc)
    set -l operands
    set -l is_value 0
    for word in $words[2..-1]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word -s -c -n
            set is_value 1
        else if not string match -q -- '-*' $word
            set -a operands $word
        end
    end
    test $is_value = 0; and set -q operands[1]; or return 1
    contains -- $operands[1] $argv[2..-1]; and test "$argv[1]" != one -o (count $operands) = 1
end

set -l verbs status top why start stop restart reload tail health requests cancel models load unload pull bench backends drain undrain dump new-key help
complete -c sidecarctl -f
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a status -d 'What runs: a row for each program'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a top -d 'The same with requests, models and speeds'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a why -d 'What went wrong last, and what to do'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a start -d 'Start a program'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a stop -d 'Stop a program, and leave it stopped'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a restart -d 'Stop a program and start it'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a reload -d 'Read supervisor.ini again'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a tail -d 'What programs wrote last'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a health -d 'One line of GET /health'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a requests -d 'Who is served, and who waits'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a cancel -d 'End a request'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a models -d 'On the disk, and in memory'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a load -d 'Load a model'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a unload -d 'Take a model out of memory'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a pull -d 'Bring a model here'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a bench -d 'First token and tokens per second'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a backends -d 'Several Ollamas: a row for each'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a drain -d 'A backend gets no new requests'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a undrain -d 'A backend gets requests again'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a dump -d 'The configuration in force'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a new-key -d 'Make a key for [key:NAME]'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -a help -d 'The verbs and options'
complete -c sidecarctl -n '__sidecarctl_takes_program one start stop restart' -a '(__sidecarctl_told status name)' -d Program
complete -c sidecarctl -n '__sidecarctl_takes_program one drain undrain' -a '(__sidecarctl_told backends name)' -d Backend
complete -c sidecarctl -n '__sidecarctl_takes_program one cancel' -a '(__sidecarctl_told requests id)' -d Request
complete -c sidecarctl -n '__sidecarctl_takes_program one load unload pull bench' -a '(__sidecarctl_told models name)' -d Model
complete -c sidecarctl -n '__sidecarctl_takes_program any tail' -a '(__sidecarctl_told status name)' -d Program
complete -c sidecarctl -n '__fish_seen_subcommand_from tail' -s f -d 'Go on with what they write from now on'
complete -c sidecarctl -n '__fish_seen_subcommand_from tail top bench' -s n -x -d 'So many lines, pictures or rounds'
complete -c sidecarctl -n '__fish_seen_subcommand_from bench' -l cold -d 'Also from the disk, which unloads it first'
complete -c sidecarctl -n '__fish_seen_subcommand_from health' -l ready -d 'GET /ready instead'
complete -c sidecarctl -s s -r -F -d 'Where the control socket is'
complete -c sidecarctl -s c -r -F -d 'The configuration that says where'
complete -c sidecarctl -l json -d 'Print what is answered as JSON'
complete -c sidecarctl -l no-color -d 'No colours, also on a terminal'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -s h -l help -d 'The verbs and options'
complete -c sidecarctl -n "not __fish_seen_subcommand_from $verbs" -l version -d 'The version'
