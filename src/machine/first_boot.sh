#!/bin/sh
# First boot of a machine that Spillway rents: closes it, opens the tunnel to the site, and gets spillway-node from
# there, which does the rest. Run once by cloud-init as root. What it says goes to the console. All of it is a
# function, because its own file is overwritten while it runs.
# shellcheck disable=SC2154,SC3045 # what is not set here comes from VALUES; every shell that is sh has ulimit -c
set -eu
umask 077
main() {
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ulimit -c 0
exec </dev/null >/dev/console 2>&1
#VALUES#
say() { echo "spillway: $*"; }
give_up() {
  trap - EXIT
  say "$*; this machine powers off"
  sync
  poweroff -f || echo o >/proc/sysrq-trigger
  exit 1
}
trap 'give_up "first boot failed"' EXIT
for tool in ip wg iptables curl sha256sum tar zstd cryptsetup losetup mkfs.ext4 containerd runc systemctl; do
  command -v "$tool" >/dev/null || give_up "the image has no $tool"
done

# ---- closed: nothing comes in, nothing goes out but the tunnel, nothing is written that would outlive memory
swapoff -a
sysctl -qw kernel.core_pattern='|/bin/false' fs.suid_dumpable=0 net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
mkdir -p /run/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nForwardToSyslog=no\n' >/run/systemd/journald.conf.d/spillway.conf
systemctl restart systemd-journald
rm -rf /var/log/journal
# The name is resolved before the door closes behind it.
address=${endpoint%:*} port=${endpoint##*:}
case $address in *[!0-9.]*) address=$(getent ahostsv4 "$address" | head -n 1 | cut -d' ' -f1) ;; esac
[ -n "$address" ] || give_up "no address of $endpoint"
# Of the interfaces that the machine has now; those of the tunnel and of pods come later.
{
  printf '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n'
  for nic in /sys/class/net/*; do
    nic=${nic##*/}
    [ "$nic" != lo ] || continue
    for rule in "-A INPUT -i $nic" "-A OUTPUT -o $nic"; do
      echo "$rule -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    done
    echo "-A INPUT -i $nic -p udp --sport 67 --dport 68 -j ACCEPT"
    echo "-A INPUT -i $nic -j DROP"
    echo "-A OUTPUT -o $nic -p udp --sport 68 --dport 67 -j ACCEPT"
    echo "-A OUTPUT -o $nic -p udp --dport 123 -j ACCEPT"
    echo "-A OUTPUT -o $nic -d $address/32 -p udp --dport $port -j ACCEPT"
    echo "-A OUTPUT -o $nic -j DROP"
    printf -- '-A FORWARD -i %s -j DROP\n-A FORWARD -o %s -j DROP\n' "$nic" "$nic"
  done
  echo COMMIT
} | iptables-restore -w 5
if [ -e /proc/net/if_inet6 ]; then
  ip6tables-restore -w 5 <<'RULES'
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT DROP
-A INPUT -i lo -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
-A OUTPUT -p ipv6-icmp -j ACCEPT
COMMIT
RULES
fi

# ---- the tunnel, with the key that reaches the door only
outside=$(ip -o route get "$address" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
mtu=$(($(cat "/sys/class/net/$outside/mtu") - 80))
[ "$mtu" -le 1420 ] || mtu=1420
ip link add spwboot type wireguard || give_up "the image's kernel has no WireGuard"
printf '%s\n' "$private_key" | wg set spwboot private-key /dev/stdin peer "$hub_key" endpoint "$address:$port" \
  allowed-ips "$hub_address/32" persistent-keepalive 15
private_key=
ip address add "$boot_address/32" dev spwboot
ip link set spwboot mtu "$mtu" up
ip route add "$hub_address/32" dev spwboot

# ---- spillway-node, unless the image has just this one
home=/opt/spillway/$agent_sha256
if [ ! -x "$home/spillway-node" ]; then
  file=/run/spillway-node.tar.zst tries=0
  : >"$file"
  # The door is who has the key; its certificate's name and times say nothing.
  while at=$(stat -c %s "$file"); [ "$at" -lt "$agent_bytes" ]; do
    curl -sSfk --tlsv1.3 --pinnedpubkey "sha256//$door_key" --connect-timeout 10 -m 120 -r "$at-$((at + 4194303))" "$door/node/v1/files/$agent_sha256" >>"$file" || {
      tries=$((tries + 1))
      [ "$tries" -lt 120 ] || give_up "the site's door does not answer"
      sleep 1
    }
  done
  echo "$agent_sha256  $file" | sha256sum -c --quiet || give_up "spillway-node is not the one that was promised"
  mkdir -p "$home.new"
  tar -C "$home.new" --zstd -xf "$file"
  rm -f "$file"
  mv "$home.new" "$home"
fi

# ---- what the machine was told lives in memory from now on; copies that the image's tools kept are overwritten
mkdir -p /run/spillway
cat >/run/spillway/user-data.json <<'USER_DATA'
#USER_DATA#
USER_DATA
find /var/lib/cloud /run/cloud-init -xdev -type f \( -name 'user-data*' -o -name 'part-*' -o -name 'obj.pkl' \
  -o -name 'cloud-config.txt' -o -name 'vendor-data*' -o -name 'instance-data-sensitive.json' \) \
  -exec shred -n 1 -u {} + 2>/dev/null || say "a copy of the user data may be left; it is worthless after the join"

cat >/run/systemd/system/spillway-node.service <<UNIT
[Unit]
Description=Agent of this rented machine; its end is the machine's
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
ExecStart=$home/spillway-node --machine --user-data /run/spillway/user-data.json --disk /var/lib/spillway
KillMode=process
TimeoutStopSec=10
LimitCORE=0
OOMScoreAdjust=-999
StandardOutput=journal+console
StandardError=journal+console
UNIT
systemctl daemon-reload
systemctl start --no-block spillway-node
trap - EXIT
say "spillway-node begins"
}
main && exit 0
