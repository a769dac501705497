# bash completion of ii. To load it: source <(ii completions bash)
_ii() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        COMPREPLY+=("$word")
    done < <(command ii completions -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
# Where ii has no word to offer, bash completes files.
complete -o bashdefault -o default -F _ii ii
