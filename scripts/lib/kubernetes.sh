# shellcheck shell=bash
# The demonstration on a real Kubernetes of this machine. To be sourced by scripts/demo.
#
#   kubernetes_demo REPOSITORY [options of spillway-demo...]
#
# The cluster is made anew each time and taken down at the end, unless --keep is among the options.

DEMO_CLUSTER=${TMPDIR:-/tmp}/spillway-demo-kubernetes
DEMO_NET=64

# A kubeconfig for spillwayd's own account, which has no more rights than deploy/kubernetes gives it.
daemon_account() {
  local file="$1"
  (
    umask 077
    kubectl create token spillway -n spillway-system --duration=6h >"$file.token"
    cat >"$file" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: demo, cluster: {server: "$KUBERNETES_API", certificate-authority: "$KUBERNETES_CA"}}]
users: [{name: spillway, user: {tokenFile: "$file.token"}}]
contexts: [{name: demo, context: {cluster: demo, user: spillway}}]
current-context: demo
YAML
  )
}

# What a simulated machine runs: a real kubelet, with spillway-node beside it.
machine_program() {
  cat >"$1" <<SH
#!/bin/sh
export HOME='$HOME' PATH='$PATH' SPILLWAY_CACHE='${SPILLWAY_CACHE:-}'
exec "$2/scripts/partners/kubernetes-machine" --dir "$DEMO_CLUSTER" --agent "$2/build/bin/spillway-node" "\$@"
SH
  chmod 700 "$1"
}

site_node() {
  local repository="$1" name="$2" directory="$3"
  "$repository/scripts/partners/kubernetes-add-node" "$name" --dir "$DEMO_CLUSTER" --gpus 4
  "$repository/scripts/partners/kubernetes-exec" --dir "$DEMO_CLUSTER" "$name" \
    "$repository/build/bin/spillway-node" --site --data-root "$repository/build/demo/data" \
    --results-root "$directory/results" --kubelet-directory /var/lib/kubelet \
    >"$directory/$name-volumes.log" 2>&1 &
  disown # it ends with its node
}

kubernetes_demo() {
  local repository="$1" partners="$1/scripts/partners" directory="$1/build/demo-kubernetes" keep='' code=0
  shift
  [[ " $* " != *" --keep "* ]] || keep=yes
  "$partners/kubernetes-ready" || return
  step "partners: Kubernetes, built from Go modules the first time (about 8 minutes)"
  "$partners/kubernetes-packages"
  "$partners/kubernetes-build"
  "$partners/kubernetes-image" train
  mkdir -p "$directory/results"

  step "a cluster: etcd, API server, controllers, scheduler, and the site's two machines"
  "$partners/kubernetes-down" --dir "$DEMO_CLUSTER" >/dev/null 2>&1 || true
  "$partners/kubernetes-up" --dir "$DEMO_CLUSTER" --net "$DEMO_NET" --nodes 0
  # shellcheck disable=SC1091
  . "$DEMO_CLUSTER/env"
  site_node "$repository" a100-01 "$directory"
  site_node "$repository" a100-02 "$directory"

  step "installing Spillway: kubectl apply -f deploy/crds -f deploy/kubernetes/install.yaml"
  kubectl apply -f "$repository/deploy/crds" -f "$repository/deploy/kubernetes/install.yaml"
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null
  daemon_account "$directory/daemon.kubeconfig"
  machine_program "$directory/machine" "$repository"

  step "the demonstration"
  "$repository/build/bin/spillway-demo" --directory "$directory" --data "$repository/build/demo/data" \
    --time-scale 20 --kubeconfig "$KUBECONFIG" --daemon-kubeconfig "$directory/daemon.kubeconfig" \
    --node-program "$directory/machine" "$@" || code=$?
  if [ -n "$keep" ]; then
    echo "The cluster stays: . $DEMO_CLUSTER/env && kubectl get burstnodes; end it with"
    echo "  scripts/partners/kubernetes-down --dir $DEMO_CLUSTER"
  else
    "$partners/kubernetes-down" --dir "$DEMO_CLUSTER"
  fi
  return "$code"
}
