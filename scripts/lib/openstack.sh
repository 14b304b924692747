# shellcheck shell=bash
# The demonstration on a real OpenStack and a real Kubernetes of this machine, with rented machines that really
# boot, under emulation. To be sourced by scripts/demo after scripts/lib/kubernetes.sh.
#
#   openstack_demo REPOSITORY [options of spillway-demo...]
#
# Everything is made anew each time and taken down at the end, unless --keep is among the options.

DEMO_CLOUD=${DEMO_CLOUD:-${TMPDIR:-/tmp}/spillway-demo-openstack}
DEMO_CLOUD_PORT=${DEMO_CLOUD_PORT:-26000}
DEMO_MACHINES=${DEMO_MACHINES:-${TMPDIR:-/tmp}/spillway-demo-machines}
DEMO_TUNNEL_PORT=${DEMO_TUNNEL_PORT:-51820}
DEMO_TUNNEL=spwdemo0
# The site's work in examples/ holds its GPUs for 75 seconds, and trainings have 300 epochs: a machine under
# emulation needs longer to boot, and computes far slower.
DEMO_ADJUST=(--adjust=--hold-seconds=300 --adjust=--epochs=20)

# spillwayd calls it at every phase of a BurstNode: looks at the disk of its machine from outside, as a provider
# could. A look while the job runs begins when its pods run, beside everything else. The first machine of
# workload 7 loses its power then.
write_scan_hook() {
  local repository=$1 directory=$2
  cat >"$directory/look" <<SH
#!/bin/bash
# look NODE PHASE FAILURE
set -eu
node=\$1 phase=\$2
disk_of() {
  id=\$(sed -n "s/^[^ ]* openstack-machines: \([^ ]*\) (\$node, .*boots.*/\1/p" '$directory/machines.log' | tail -n 1)
  [ -n "\$id" ]
}
look() {
  local raw='$directory/scans/'\$node-\$1.raw said windows
  disk_of && '$repository/scripts/partners/machine-disk' --dir '$DEMO_MACHINES' --name "\$id" "\$raw" || return 0
  for _ in 1 2; do
    said=\$('$repository/build/bin/spillway' audit scan --sample '$repository/build/demo/data/digits/train' --disk "\$raw" 2>&1 || true)
    windows=\$(sed -n 's/.*: \([0-9]*\) found.*/\1/p' <<<"\$said")
    [ -z "\$windows" ] || break
    printf '%s %s: %s\n' "\$node" "\$1" "\$said" >>'$directory/scans/not-done'
  done
  # A look that did not come about found a window: the claim must not hold.
  jq -n --arg node "\$node" --arg when "\$1" --arg said "\$said" --argjson bytes "\$(stat -c %s "\$raw")" \
    --argjson windows "\${windows:-1}" '{node: \$node, when: \$when, said: \$said, bytes: \$bytes,
      windows: \$windows}' >"\$raw.part"
  rm -f "\$raw"
  mv "\$raw.part" '$directory/scans/'\$node-\$1.json
}
take_power() {
  [ "\$(kubectl --kubeconfig '$DEMO_CLUSTER/admin.kubeconfig' get burstnode "\$node" \
    -o jsonpath='{.spec.workload}')" = nlp/Job/survivor ] || return 0
  mkdir '$directory/power-taken' 2>/dev/null || return 0
  disk_of && kill -9 "\$(cut -d' ' -f1 '$DEMO_MACHINES'/"\$id"/pid)"
}
case \$phase in
  Running)
    (
      exec >/dev/null 2>&1 </dev/null
      for _ in {1..600}; do
        [ "\$(kubectl --kubeconfig '$DEMO_CLUSTER/admin.kubeconfig' get pods -A \
          --field-selector "spec.nodeName=\$node,status.phase=Running" -o name | wc -l)" -eq 0 ] || break
        sleep 1
      done
      take_power
      look running
    ) &
    ;;
  Returning) look returning ;;
  Deleting) look wiped ;;
esac
SH
  chmod 700 "$directory/look"
}

openstack_demo_down() {
  local partners=$1
  [ -z "${MACHINES_DRIVER:-}" ] || {
    kill "$MACHINES_DRIVER" 2>/dev/null || true
    wait "$MACHINES_DRIVER" 2>/dev/null || true
  }
  "$partners/machine-down" --dir "$DEMO_MACHINES" >/dev/null || true
  ip link delete "$DEMO_TUNNEL" 2>/dev/null || true
  "$partners/openstack-down" --dir "$DEMO_CLOUD" >/dev/null || true
  "$partners/kubernetes-down" --dir "$DEMO_CLUSTER" >/dev/null || true
}

# One of the site's two machines, with its volumes.
openstack_site_node() {
  local repository=$1 directory=$2 name=$3
  "$repository/scripts/partners/kubernetes-add-node" "$name" --dir "$DEMO_CLUSTER" --gpus 4
  setsid "$repository/scripts/partners/kubernetes-exec" --dir "$DEMO_CLUSTER" "$name" \
    "$repository/build/bin/spillway-node" --site --data-root "$repository/build/demo/data" \
    --results-root "$directory/results" >"$directory/site-$name.log" 2>&1 </dev/null &
  disown
}

openstack_demo() {
  local repository=$1 partners=$1/scripts/partners directory=$1/build/demo-openstack keep='' code=0
  local -a arguments=()
  shift
  [[ " $* " != *" --keep "* ]] || keep=yes
  "$partners/kubernetes-ready" || return
  step "partners: Kubernetes from Go modules (the first time about 8 minutes), OpenStack and machines from Debian"
  "$partners/kubernetes-packages"
  "$partners/kubernetes-build"
  "$partners/kubernetes-image" train
  "$partners/openstack-packages"
  "$partners/machine-packages"
  "$partners/machine-image" >/dev/null
  rm -rf "$directory/scans" "$directory/machine-files" "$directory/power-taken"
  mkdir -p "$directory/results" "$directory/scans"

  # Whatever happens from here on: nothing is left running.
  openstack_demo_down "$partners" 2>/dev/null
  # shellcheck disable=SC2064 # the place is known now, and not when it is needed
  [ -n "$keep" ] || trap "openstack_demo_down '$partners'" EXIT
  step "a cloud: Keystone, Nova, Placement, Neutron, Glance; and a cluster with the site's two machines"
  "$partners/openstack-up" --dir "$DEMO_CLOUD" --port "$DEMO_CLOUD_PORT"
  "$partners/kubernetes-up" --dir "$DEMO_CLUSTER" --net "$DEMO_NET" --nodes 0
  # shellcheck disable=SC1091
  . "$DEMO_CLUSTER/env"
  openstack_site_node "$repository" "$directory" a100-01
  openstack_site_node "$repository" "$directory" a100-02
  "$partners/openstack-machines" --openstack "$DEMO_CLOUD" --dir "$DEMO_MACHINES" \
    --hub "100.64.0.1:$DEMO_TUNNEL_PORT" --down-on-exit >"$directory/machines.log" 2>&1 &
  MACHINES_DRIVER=$!

  step "what a bare machine gets from the site: kubelet, CNI plug-ins, spillway-node"
  "$repository/scripts/machine-files" --kubelet "$(command -v kubelet)" --cni /usr/lib/cni "$directory/machine-files"
  write_scan_hook "$repository" "$directory"
  kubectl apply -f "$repository/deploy/crds" -f "$repository/deploy/kubernetes/install.yaml" >/dev/null
  kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null

  # Before spillwayd does it: where the kernel has no WireGuard it is a process, which is not the demonstration's.
  ip link add "$DEMO_TUNNEL" type wireguard 2>/dev/null || setsid --wait wireguard-go "$DEMO_TUNNEL" >/dev/null 2>&1

  step "the demonstration"
  for argument in --node-api-server "$KUBERNETES_API" --openstack-clouds "$DEMO_CLOUD/clouds.yaml" \
    --tunnel-endpoint "100.64.0.1:$DEMO_TUNNEL_PORT" --tunnel-interface "$DEMO_TUNNEL" \
    --machine-files "$directory/machine-files" --phase-hook "$directory/look"; do
    arguments+=("--daemon-argument=$argument")
  done
  # Two machines at a time boot: the gang needs both, and workload 7 one after the other.
  arguments+=(--later 3-gang.yaml --later 7-machine-dies.yaml)
  "$repository/build/bin/spillway-demo" --directory "$directory" --data "$repository/build/demo/data" \
    --time-scale 1 --kubeconfig "$KUBECONFIG" --providers "$repository/examples/openstack/providers.yaml" \
    --scans "$directory/scans" "${DEMO_ADJUST[@]}" --limit 60 "${arguments[@]}" "$@" || code=$?
  if [ -n "$keep" ]; then
    echo "Everything stays: . $DEMO_CLUSTER/env && kubectl get burstnodes; OS_CLIENT_CONFIG_FILE=$DEMO_CLOUD/clouds.yaml"
    echo "openstack --os-cloud lab server list; end it with scripts/partners/kubernetes-down --dir $DEMO_CLUSTER;"
    echo "scripts/partners/openstack-down --dir $DEMO_CLOUD; scripts/partners/machine-down --dir $DEMO_MACHINES"
  fi
  return "$code"
}
