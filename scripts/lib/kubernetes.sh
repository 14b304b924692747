# shellcheck shell=bash
# The demonstration on a real Kubernetes of this machine. To be sourced by scripts/demo.
#
#   kubernetes_demo REPOSITORY [options of spillway-demo...]
#
# The cluster is made anew each time and taken down at the end, unless --keep is among the options. Where a
# Ceph can run, the data and the results of team vision are in its buckets (examples/ceph); elsewhere all is in
# directories.

DEMO_CLUSTER=${DEMO_CLUSTER:-${TMPDIR:-/tmp}/spillway-demo-kubernetes}
DEMO_CEPH=${DEMO_CEPH:-${TMPDIR:-/tmp}/spillway-demo-ceph}
DEMO_CEPH_PORT=${DEMO_CEPH_PORT:-27480}
DEMO_NET=${DEMO_NET:-64}
DEMO_TIME_SCALE=15

# The simulated providers' machines: real kubelets, with spillway-node beside them. spillwayd asks for them
# from its pod, through DIRECTORY/machines.
machines_server() {
  local repository="$1" machines="$2/machines"
  mkdir -p "$machines"
  cp "$(command -v pretend-machines)" "$machines/boot"
  cat >"$machines/machine" <<SH
#!/bin/sh
export HOME='$HOME' PATH='$PATH' SPILLWAY_CACHE='${SPILLWAY_CACHE:-}'
exec "$repository/scripts/partners/kubernetes-machine" --dir "$DEMO_CLUSTER" \
  --agent "$repository/build/bin/spillway-node" "\$@"
SH
  chmod 700 "$machines/machine"
  setsid pretend-machines serve "$machines/socket" "$machines/machine" \
    >"$2/machines.log" 2>&1 </dev/null &
  MACHINES_SERVER=$!
  disown
}

# A real Ceph with the data of team vision in it. Sets CEPH to its credentials file, or to nothing where there
# can be none.
demo_ceph() {
  local partners="$1" data="$2" why
  CEPH=''
  if ! why=$("$partners/ceph-ready"); then
    echo "No Ceph: $why. All data and results are in directories."
    return
  fi
  "$partners/ceph-packages"
  # On the cluster's bridge, where pods reach it.
  "$partners/ceph-up" --dir "$DEMO_CEPH" --port "$DEMO_CEPH_PORT" --address "10.$KUBERNETES_NET.0.1"
  "$partners/ceph-bucket" --dir "$DEMO_CEPH" training-data "$data/digits" digits
  "$partners/ceph-bucket" --dir "$DEMO_CEPH" models
  CEPH=$DEMO_CEPH/credentials
}

# The objects of examples/ceph with the store's address, and its keys as Secrets of the installation.
write_bucket_settings() {
  local repository="$1" directory="$2" into="$2/install" endpoint namespace
  endpoint=$(sed -n 's/^S3_ENDPOINT=//p' "$DEMO_CEPH/s3.env")
  sed "s|http://ceph.example:27480|$endpoint|" "$repository/examples/ceph/vision.yaml" >"$directory/ceph.yaml"
  (umask 077 && cp "$CEPH" "$into/credentials")
  cat >>"$into/kustomization.yaml" <<YAML
components: ["$(realpath --relative-to="$into" "$repository/deploy/buckets")"]
generatorOptions: {disableNameSuffixHash: true}
secretGenerator:
YAML
  for namespace in spillway-system spillway-volumes; do
    echo "  - {name: spillway-s3, namespace: $namespace, files: [credentials]}" >>"$into/kustomization.yaml"
  done
  # The demonstration's own arguments take the place of what the component adds.
  sed -i 's|^\( *\)- --inspect-rented-disks$|&\n\1- --s3-credentials=/etc/spillway/s3/credentials|' \
    "$into/spillwayd.yaml"
}

# What a site's own settings are: its storage, the address of the API server for rented machines. The rest is
# the demonstration's: simulated providers, a clock that runs faster, and searching rented disks.
write_kustomization() {
  local repository="$1" directory="$2" into="$2/install" claim path
  mkdir -p "$into"
  cat >"$into/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: ["$(realpath --relative-to="$into" "$repository/deploy")", volumes.yaml]
patches: [{path: settings.yaml}, {path: spillwayd.yaml}, {path: site-volumes.yaml}]
YAML
  cat >"$into/settings.yaml" <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: spillway, namespace: spillway-system}
data: {nodeApiServer: "$KUBERNETES_API", clusterId: demo}
YAML
  : >"$into/volumes.yaml"
  for claim in state data results; do
    case $claim in
      state) path=$directory ;;
      data) path=$repository/build/demo/data ;;
      results) path=$directory/results ;;
    esac
    cat >>"$into/volumes.yaml" <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: site-$claim}
spec:
  capacity: {storage: 1Ti}
  accessModes: [ReadWriteOnce, ReadOnlyMany, ReadWriteMany]
  claimRef: {namespace: spillway-system, name: spillway-$claim}
  hostPath: {path: "$path", type: Directory}
YAML
  done
  cat >"$into/spillwayd.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: spillway, namespace: spillway-system}
spec:
  template:
    spec:
      containers:
        - name: spillwayd
          args:
            - --kubernetes
            - --state=$directory/state
            - --data-root=/srv/data
            - --results-root=/srv/results
            - --evidence=$directory/evidence
            - --log=$directory/daemon.log
            - --node-api-server=\$(NODE_API_SERVER)
            - --cluster-id=\$(CLUSTER_ID)
            - --metrics-listen=0.0.0.0:9464
            - --time-scale=$DEMO_TIME_SCALE
            - --inspect-rented-disks
            - --node-program=$directory/machines/boot
          env: [{name: SPILLWAY_SOCKET, value: "$directory/state/spillway.sock"}]
          # Under the path that it has on the machine too: simulated machines are told of files in it.
          volumeMounts: [{name: state, mountPath: "$directory"}]
YAML
  cat >"$into/site-volumes.yaml" <<YAML
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: site-volumes, namespace: spillway-volumes}
spec:
  template:
    spec:
      volumes:
        - {name: data, hostPath: {path: "$repository/build/demo/data"}}
        - {name: results, hostPath: {path: "$directory/results"}}
YAML
}

site_node() {
  "$1/kubernetes-add-node" "$2" --dir "$DEMO_CLUSTER" --gpus 4
  "$1/kubernetes-exec" --dir "$DEMO_CLUSTER" "$2" ctr -n k8s.io images import "$3" >/dev/null
}

kubernetes_demo() {
  local repository="$1" partners="$1/scripts/partners" directory="$1/build/demo-kubernetes" keep='' code=0
  local image=$1/build/spillway-image.tar
  shift
  [[ " $* " != *" --keep "* ]] || keep=yes
  "$partners/kubernetes-ready" || return
  step "partners: Kubernetes, built from Go modules the first time (about 8 minutes)"
  "$partners/kubernetes-packages"
  "$partners/kubernetes-build"
  "$partners/kubernetes-image" train
  mkdir -p "$directory/results"

  step "the container image of Spillway"
  "$repository/scripts/image" --output "$image"

  step "a cluster: etcd, API server, controllers, scheduler, and the site's two machines"
  "$partners/kubernetes-down" --dir "$DEMO_CLUSTER" >/dev/null 2>&1 || true
  # Whatever happens from here on: nothing is left running.
  # shellcheck disable=SC2064 # the place is known now, and not when it is needed
  [ -n "$keep" ] || trap "demo_down '$partners'" EXIT
  "$partners/kubernetes-up" --dir "$DEMO_CLUSTER" --net "$DEMO_NET" --nodes 0
  # shellcheck disable=SC1091
  . "$DEMO_CLUSTER/env"
  site_node "$partners" a100-01 "$image"
  site_node "$partners" a100-02 "$image"
  machines_server "$repository" "$directory"
  write_kustomization "$repository" "$directory"
  rm -f "$directory/ceph.yaml"
  local in_buckets=()

  step "a store: Ceph with its S3 gateway, and the data of one team in a bucket"
  demo_ceph "$partners" "$repository/build/demo/data"
  if [ -n "$CEPH" ]; then
    write_bucket_settings "$repository" "$directory"
    in_buckets=(--overlay "$directory/ceph.yaml" --s3-credentials "$CEPH")
  fi

  step "the demonstration"
  "$repository/build/bin/spillway-demo" --directory "$directory" --data "$repository/build/demo/data" \
    --time-scale "$DEMO_TIME_SCALE" --kubeconfig "$KUBECONFIG" --install "$directory/install" \
    ${in_buckets[@]+"${in_buckets[@]}"} "$@" || code=$?
  if [ -n "$keep" ]; then
    echo "The cluster stays: . $DEMO_CLUSTER/env && kubectl get burstnodes; end it with"
    echo "  scripts/partners/kubernetes-down --dir $DEMO_CLUSTER; kill $MACHINES_SERVER"
    [ -z "$CEPH" ] || echo "  scripts/partners/ceph-down --dir $DEMO_CEPH"
  fi
  return "$code"
}

demo_down() {
  "$1/kubernetes-down" --dir "$DEMO_CLUSTER" || true
  [ ! -f "$DEMO_CEPH/.ceph-up" ] || { "$1/ceph-down" --dir "$DEMO_CEPH" && rm -rf "$DEMO_CEPH"; } || true
  [ -z "${MACHINES_SERVER:-}" ] || kill "$MACHINES_SERVER" 2>/dev/null || true
}
