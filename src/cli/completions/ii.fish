# fish completion of ii. To load it: ii completions fish | source
function __ii_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -e before[1]
    set -l found (command ii completions -- $before "$current" 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        # Where ii has no word to offer, fish completes files.
        __fish_complete_path "$current"
    end
end
complete -c ii -f -a '(__ii_words)'
