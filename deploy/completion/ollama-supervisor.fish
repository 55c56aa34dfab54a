# Completion of ollama-supervisor, ollama-proxy and ollama-preload for fish, which loads it by any of these names.
for program in ollama-supervisor ollama-proxy ollama-preload
    complete -c $program -n 'not contains -- -- (commandline -opc)' -f
    complete -c $program -n 'not contains -- -- (commandline -opc)' -s c -r -F -d 'The configuration'
    complete -c $program -n 'not contains -- -- (commandline -opc)' -l check -d 'Report every mistake in it'
    complete -c $program -n 'not contains -- -- (commandline -opc)' -l dump -d 'What is in force, and where it comes from'
    complete -c $program -n 'not contains -- -- (commandline -opc)' -s h -l help -d 'The options and every key'
    complete -c $program -n 'not contains -- -- (commandline -opc)' -l version -d 'The version'
end
complete -c ollama-preload -l hub -d 'One job in the cache of a Hugging Face hub'
complete -c ollama-supervisor -n __fish_is_first_arg -a 'serve run pull list ps show stop rm cp create push' -d 'Command of Ollama'
complete -c ollama-supervisor -n 'contains -- -- (commandline -opc)' -x -a '(__fish_complete_subcommand --fcs-skip=2)'
