# shellcheck shell=bash
# Debian packages that Spillway needs, and how they are installed. To be sourced by scripts that run
# under `set -euo pipefail`:
#
#   need_packages demo        # builds and runs the demonstration
#   need_packages test        # builds and runs the tests
#   need_packages image       # builds the container image
#
# Nothing is asked of a machine that has them all. Otherwise every missing package is named with its
# reason before apt-get runs, as root or through sudo. SPILLWAY_NO_INSTALL=1 only says what is missing.

# One "package|reason" a line for a group: build, run, test or image.
packages_of_group() {
  case "$1" in
    build)
      cat <<'LIST'
g++|the C++ compiler
cmake|configures the build
ninja-build|runs the build
ccache|makes rebuilds quick
pkg-config|finds libraries
libboost1.81-dev|HTTP over sockets (Asio, Beast)
libboost-json1.81-dev|JSON
libssl-dev|sealing, signatures, TLS (OpenSSL 3)
libipsec-mb-dev|AES-256-GCM with VAES and AVX-512
libzstd-dev|compresses what is sealed
libcurl4-openssl-dev|HTTP client
libfmt-dev|text formatting
libexpat1-dev|reads the XML of object stores
libyaml-cpp-dev|reads manifests and the catalogue
libsqlite3-dev|the ledger's database
libexpected-dev|results without exceptions (tl::expected)
libcli11-dev|command lines
libfuse3-dev|inputs of pods are a file system that unseals what is read
libgrpc++-dev|the volume plug-in of nodes talks gRPC with the kubelet
libprotobuf-dev|messages of that plug-in
protobuf-compiler|makes C++ of the messages' definitions
protobuf-compiler-grpc|likewise for the services
LIST
      ;;
    run)
      cat <<'LIST'
bubblewrap|runs every pod in its own sandbox
python3-minimal|runs the example training
python3-numpy|arithmetic of the example training
ca-certificates|trust anchors for TLS
LIST
      ;;
    test)
      cat <<'LIST'
libgtest-dev|unit tests
libgmock-dev|matchers in unit tests
libbenchmark-dev|measurements in bench/
python3-cryptography|the second reader of the sealed format
python3-zstandard|likewise
wireguard-tools|the tunnel's test
wireguard-go|likewise, where the kernel has no WireGuard
iproute2|likewise
iptables|likewise
prometheus|its promtool checks the metrics and the alerts
clang-format-19|checks the formatting
clang-tidy-19|checks the code
LIST
      ;;
    image)
      cat <<'LIST'
binutils|takes the debug information out of the programs
buildah|makes the container image
mmdebstrap|its libraries
LIST
      ;;
    *)
      echo "packages_of_group: unknown group \"$1\"; known are build, run, test and image" >&2
      return 2
      ;;
  esac
}

# The groups behind a purpose.
package_groups() {
  case "$1" in
    build) echo build ;;
    demo) echo build run ;;
    test) echo build run test ;;
    image) echo build image ;;
    *)
      echo "need_packages: unknown purpose \"$1\"; known are build, demo, test and image" >&2
      return 2
      ;;
  esac
}

package_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# Runs a command as root: directly, or through sudo. Answers 1 when there is no way.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "This needs root, and there is no sudo. Run this as root, then start again:" >&2
    echo "    $*" >&2
    return 1
  fi
}

# True when apt knows a version of every named package.
packages_available() {
  local package known
  for package in "$@"; do
    known="$(apt-cache policy "$package" 2>/dev/null)" || return
    [[ "$known" =~ Candidate:\ [^\(] ]] || return 1
  done
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

apt_update() {
  echo "Refreshing the package lists (apt-get update)."
  as_root apt-get update -q
}

# need_packages build|demo|test|image: installs what is missing for that purpose, or says why it cannot.
need_packages() {
  local purpose="$1" groups group list package reason
  local -a missing=()
  if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "Spillway's scripts install Debian packages, and dpkg is not here. Use Debian 12." >&2
    return 1
  fi
  groups="$(package_groups "$purpose")" || return
  for group in $groups; do
    list="$(packages_of_group "$group")" || return
    while IFS='|' read -r package reason; do
      package_installed "$package" && continue
      [ "${#missing[@]}" -gt 0 ] || echo "Missing Debian packages for the $purpose:"
      printf '  %-24s %s\n' "$package" "$reason"
      missing+=("$package")
    done <<<"$list"
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ -n "${SPILLWAY_NO_INSTALL:-}" ]; then
    echo "SPILLWAY_NO_INSTALL is set, so nothing is installed. As root:" >&2
    echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
    return 1
  fi
  if package_installed libboost1.74-dev && [[ " ${missing[*]} " == *" libboost1.81-dev "* ]]; then
    echo "Note: libboost1.81-dev replaces libboost1.74-dev; both cannot be installed at once."
  fi
  install_missing "${missing[@]}"
}

# Installs, with a refresh of the lists first when apt does not know a package, or once after a
# failure, because lists older than the mirror name files that are gone.
install_missing() {
  local fresh=""
  if ! packages_available "$@"; then
    apt_update || return
    fresh=yes
    if ! packages_available "$@"; then
      echo "apt knows no version of some of these: $*" >&2
      echo "They are in Debian 12 (bookworm, main). Check /etc/apt/sources.list." >&2
      return 1
    fi
  fi
  echo "Installing $# package(s) with apt-get."
  apt_install "$@" && return
  [ -z "$fresh" ] || return 1
  apt_update && apt_install "$@"
}
