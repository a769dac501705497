#compdef ii
# zsh completion of ii. To load it, after compinit: source <(ii completions zsh)
_ii() {
    local -a found
    found=("${(@f)$(command ii completions -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    # What _describe reads has a colon before what a word is.
    found=("${(@)${(@)found//:/\\:}/$'\t'/:}")
    found=("${(@)found:#}")
    if (( $#found )); then
        _describe -t words 'ii' found
    else
        _files
    fi
}
if [[ $funcstack[1] == _ii ]]; then
    _ii "$@"
else
    compdef _ii ii
fi
