# bash completion for spillway, as printed by `spillway completion bash`.
# Install as /usr/share/bash-completion/completions/spillway, or: source <(spillway completion bash)

_spillway() {
  local line directive=4
  COMPREPLY=()
  while IFS='' read -r line; do
    case "$line" in
      :*) directive="${line#:}" ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <(spillway complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if ((directive & 2)); then compopt -o nospace; fi
  if ((!(directive & 4))); then compopt -o default; fi
}
complete -F _spillway spillway
