# shellcheck shell=bash
# The demonstration's data: the UCI handwritten digits that Debian's python3-sklearn package carries.
# The package is downloaded and unpacked, never installed. To be sourced; uses apt_update and
# packages_available of packages.sh.
#
#   prepare_digits REPOSITORY    # fills REPOSITORY/build/demo/data, at once when it is there
#
#   digits/code/train.py         the training program
#   digits/train/part-NN.csv     80 % of the rows in ten shards: what a run selects
#   digits/test/part-NN.csv      20 % of the rows: stays at the site
#   digits/private/*             made-up names and notes: must never leave the site
#   scans/                       the same training rows, standing in for data of class "restricted"

DIGITS_LAYOUT=1

# Into ./root, whole or not at all.
unpack_sklearn() {
  rm -rf root.part root ./*.deb
  apt-get -q -o APT::Sandbox::User=root download python3-sklearn &&
    dpkg-deb -x python3-sklearn_*.deb root.part && rm -f ./*.deb && mv root.part root
}

# Downloads and unpacks the package below build/cache; prints the path of digits.csv.gz.
fetch_digits() {
  local cache="$1/build/cache/sklearn" file
  file="$cache/root/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz"
  if [ ! -s "$file" ]; then
    mkdir -p "$cache"
    if ! packages_available python3-sklearn; then
      apt_update >&2 || return
    fi
    echo "Downloading Debian's python3-sklearn for its handwritten digits (not installed)." >&2
    (cd "$cache" && unpack_sklearn) >&2 || return
  fi
  if [ ! -s "$file" ]; then
    echo "python3-sklearn carries no digits.csv.gz at $file" >&2
    return 1
  fi
  echo "$file"
}

# Every fifth row is for the test; the others go to ten shards in turn. Rows lose their decimals.
split_digits() {
  local source="$1" into="$2"
  mkdir -p "$into/train" "$into/test"
  zcat "$source" | awk -F, -v into="$into" '
    NF != 65 { printf "line %d has %d columns, 65 were expected\n", NR, NF; exit 1 }
    {
      line = int($1)
      for (i = 2; i <= 65; i++) line = line "," int($i)
      if (NR % 5 == 0) file = sprintf("%s/test/part-%02d.csv", into, (NR / 5) % 2)
      else file = sprintf("%s/train/part-%02d.csv", into, (NR - int(NR / 5)) % 10)
      print line > file
    }' >&2
}

# Invented people and notes, so that something can be shown not to have left.
write_private_files() {
  local into="$1/private"
  mkdir -p "$into"
  {
    echo "# PRIVATE, made up: who wrote which digits"
    awk 'BEGIN { for (i = 1; i <= 43; i++)
      printf "writer-%02d,Invented Person %02d,desk %d\n", i, i, 100 + i * 7 }'
  } >"$into/names.csv"
  {
    echo "PRIVATE, made up: notes taken while the digits were collected"
    awk 'BEGIN { for (i = 1; i <= 400; i++)
      printf "note %03d: sheet %d was collected twice and must not be published\n", i, i * 3 }'
  } >"$into/notes.txt"
}

# prepare_digits REPOSITORY: see the head of this file.
prepare_digits() {
  local repository="$1" data="$1/build/demo/data" source
  if [ "$(cat "$data/.layout" 2>/dev/null || true)" != "$DIGITS_LAYOUT" ]; then
    source="$(fetch_digits "$repository")" || return
    rm -rf "$data.part" "$data"
    mkdir -p "$data.part/digits/code" "$data.part/scans/code"
    split_digits "$source" "$data.part/digits" || return
    write_private_files "$data.part/digits"
    cp -r "$data.part/digits/train" "$data.part/scans/train"
    cat >"$data.part/SOURCE.txt" <<'NOTE'
Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository),
as carried by Debian's python3-sklearn. Everything below private/ is made up.
NOTE
    echo "$DIGITS_LAYOUT" >"$data.part/.layout"
    mv "$data.part" "$data"
  fi
  local set
  for set in digits scans; do
    cmp -s "$repository/examples/train.py" "$data/$set/code/train.py" ||
      cp "$repository/examples/train.py" "$data/$set/code/train.py"
  done
}
