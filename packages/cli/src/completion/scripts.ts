/** The completion scripts. Each asks `gibil __complete`, so that they never have to change with the verbs. */
const bash = `# bash completion of gibil
_gibil() {
  local line value
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # Bash splits words at colons and equals signs; box:path is left to the completion of files after the colon.
  COMPREPLY=()
  while IFS= read -r line; do
    value=\${line%%$'\\t'*}
    [ -n "$value" ] && COMPREPLY+=("$value")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null)
  if [ "\${#COMPREPLY[@]}" -eq 1 ] && [[ \${COMPREPLY[0]} == *[:=] ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -o default -F _gibil gibil ./gibil
`

const zsh = `#compdef gibil
# zsh completion of gibil
_gibil() {
  local line value summary
  local -a found
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    value=\${line%%$'\\t'*}
    summary=\${line#*$'\\t'}
    value=\${value//:/\\\\:}
    if [[ $line == *$'\\t'* ]]; then found+=("$value:$summary"); else found+=("$value"); fi
  done
  if (( \${#found} )); then _describe 'gibil' found; else _files; fi
}
if [[ $funcstack[1] == _gibil ]]; then _gibil "$@"; else compdef _gibil gibil; fi
`

const fish = `# fish completion of gibil
function __gibil_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found ($words[1] __complete -- $words[2..-1] 2>/dev/null)
  if test (count $found) -gt 0
    string join \\n -- $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c gibil -f -a '(__gibil_complete)'
`

export const scripts = { bash, zsh, fish } as const
