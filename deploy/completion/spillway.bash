# bash completion for spillway, as printed by `spillway completion bash`.
# Install as /usr/share/bash-completion/completions/spillway, or: source <(spillway completion bash)

# Flags that say where to look, taken from the line being completed.
_spillway_where() {
  local i
  where=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      -n | --namespace | --socket) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
      -A | --all-namespaces) where+=(-A) ;;
    esac
  done
}

# Names of objects of a kind; none when no daemon answers. A second argument puts KIND/ before them.
_spillway_names() {
  local -a where
  _spillway_where
  spillway get "$1" "${where[@]}" -o name 2>/dev/null | sed "s,^[^/]*/,${2:+$2/},"
}

_spillway_reply() {
  local word
  COMPREPLY=()
  while IFS='' read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$1" -- "$current")
}

# Completes "kind/name".
_spillway_target() {
  if [[ "$current" == */* ]]; then
    _spillway_reply "$(_spillway_names "${current%%/*}" "${current%%/*}")"
  else
    compopt -o nospace
    _spillway_reply "$1"
  fi
}

_spillway() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
  local command='' kind='' i words=0 flags=''
  local commands='apply get describe delete logs wait status offers explain plan cost doctor version completion help-all audit'
  local audit='verify certificate export scan'
  local kinds='budgets burstnodes burstpolicies cloudproviders datasets jobs namespaces nodes persistentvolumeclaims pods priorityclasses resourcequotas secrets'
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      -n | --namespace | -o | --output | -l | --selector | --filename | --socket | --policy | --by | --since | --key | --for | --timeout | --sample | --disk)
        i=$((i + 1))
        ;;
      -f)
        [ "$command" = logs ] || i=$((i + 1))
        ;;
      -*) ;;
      *)
        if [ -z "$command" ] || [ "$command" = audit ]; then
          command="${command:+$command }${COMP_WORDS[i]}"
        else
          kind="${kind:-${COMP_WORDS[i]}}"
          words=$((words + 1))
        fi
        ;;
    esac
  done
  case "$previous" in
    -n | --namespace) _spillway_reply "$(_spillway_names namespaces)"; return ;;
    -f | --filename)
      if [ "$command" != logs ]; then
        compopt -o default
        COMPREPLY=()
        return
      fi
      ;;
    --socket | --sample | --disk)
      compopt -o default
      COMPREPLY=()
      return
      ;;
    -o | --output) _spillway_reply 'wide json yaml name'; return ;;
    --by) _spillway_reply 'namespace workload provider node budget'; return ;;
    --policy) _spillway_reply "$(_spillway_names burstpolicies)"; return ;;
    --for) _spillway_reply 'condition=Complete condition=Failed delete'; return ;;
    -l | --selector | --timeout | --since | --key) COMPREPLY=(); return ;;
  esac
  case "$command" in
    'apply') flags='-f --filename -n --namespace --dry-run -o --output' ;;
    'get') flags='-n --namespace -A --all-namespaces -l --selector -o --output -w --watch' ;;
    'describe') flags='-n --namespace' ;;
    'delete') flags='-f --filename -n --namespace --dry-run' ;;
    'logs') flags='-f --follow -n --namespace' ;;
    'wait') flags='--for --timeout -n --namespace' ;;
    'status') flags='-w --watch -o --output' ;;
    'offers') flags='--policy -n --namespace -o --output' ;;
    'explain') flags='-n --namespace -o --output' ;;
    'plan') flags='--dry-run -f --filename -n --namespace -o --output' ;;
    'cost') flags='--by --since -o --output' ;;
    'audit verify') flags='--key' ;;
    'audit certificate') flags='--key' ;;
    'audit export') flags='' ;;
    'audit scan') flags='--sample --disk' ;;
    'doctor') flags='-o --output' ;;
    'version') flags='-o --output' ;;
    'completion') flags='' ;;
    'help-all') flags='' ;;
  esac
  if [[ "$current" == -* ]]; then
    _spillway_reply "$flags --socket --help"
    return
  fi
  case "$command" in
    get | describe | delete)
      if [ "$words" -eq 0 ]; then
        _spillway_reply "$kinds"
      elif [ "$words" -eq 1 ]; then
        _spillway_reply "$(_spillway_names "$kind")"
      fi
      ;;
    logs)
      if [[ "$current" == */* ]]; then
        _spillway_target ''
      else
        _spillway_reply "job/ $(_spillway_names pods)"
      fi
      ;;
    wait | explain) _spillway_target 'job/ pod/ burstnode/' ;;
    'audit verify' | 'audit certificate')
      compopt -o default
      COMPREPLY=()
      ;;
    completion) _spillway_reply bash ;;
    audit) _spillway_reply "$audit" ;;
    '') _spillway_reply "$commands" ;;
  esac
}
complete -F _spillway spillway
