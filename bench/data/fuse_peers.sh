# shellcheck shell=bash disable=SC2034 # what is set here is used by bench/data/fuse
# How bench/data/fuse starts each peer. To be sourced by it.
#
# up_NAME starts the peer with its own state under $C, sets PID (empty: no process) and A, the folder to read, whose
# files are those of $D, and leaves every byte where a second epoch finds it. If that is impossible it fails, with the
# reason in $R/why or as the last line of $R/err. down_NAME, where there is one, runs after the mount is gone.

unset AWS_CA_BUNDLE AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL # of another S3
programs=${SPILLWAY_CACHE:-$HOME/.cache/spillway}/peers
export AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=benchbench AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_S3_TYPE=s3 RCLONE_CONFIG_S3_PROVIDER=Other RCLONE_CONFIG_S3_ENV_AUTH=true \
  RCLONE_CONFIG_S3_ENDPOINT="http://127.0.0.1:$PORT" RCLONE_CONFIG_S3_REGION=us-east-1 RCLONE_LOG_LEVEL=ERROR

because() {
  echo "$*" >"$R/why"
  return 1
}
# program NAME: the one that bench/data/peers built, else Debian's.
program() {
  if [ -x "$programs/bin/$1" ]; then echo "$programs/bin/$1"; else command -v "$1"; fi
}
# need PROGRAM NAME: it is there; bench/data/peers NAME gets it.
need() {
  [ -z "$(program "$1")" ] || return 0
  because "$1 is not there: $(cat "$programs/$2.failed" 2>/dev/null || echo "bench/data/peers $2 gets it")"
}
mounted() { # until the data can be seen, or the peer has ended
  local i
  for ((i = 0; i < 1800; i++)); do
    [ -e "$A/shard3" ] && [ -e "$A/small" ] && return
    kill -0 "$PID" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}
warm() { cat "$A"/big "$A"/shard? "$A"/small/* >/dev/null 2>>"$R/err"; }

# ---- Spillway, and what it can be at most

up_folder() { PID='' A=$D; }
serve() {
  mkdir -p "$C"
  "$B" serve "$1" "$D" "$C" "$M" >"$R/out" 2>"$R/err" &
  PID=$! A=$M/data
  mounted
}
up_plain() { serve plain; }
up_spillway() { serve sealed; }

# ---- sealed folders

up_gocryptfs() {
  need gocryptfs gocryptfs || return 1
  mkdir -p "$C" "$M"
  "$(program gocryptfs)" -init -q -scryptn 10 -passfile "$R/pass" "$C" 2>"$R/err" || return 1
  "$(program gocryptfs)" -q -nosyslog -passfile "$R/pass" "$C" "$M" 2>"$R/err" && cp -r "$D/." "$M/" && umount "$M" || return 1
  "$(program gocryptfs)" -q -fg -ro -nosyslog -passfile "$R/pass" "$C" "$M" 2>"$R/err" &
  PID=$! A=$M
  mounted
}
# crypt REMOTE: makes c: rclone's crypt layer over it.
crypt() {
  export RCLONE_CONFIG_C_TYPE=crypt RCLONE_CONFIG_C_REMOTE=$1 RCLONE_CONFIG_C_FILENAME_ENCRYPTION=off \
    RCLONE_CONFIG_C_DIRECTORY_NAME_ENCRYPTION=false RCLONE_CONFIG_C_PASSWORD
  RCLONE_CONFIG_C_PASSWORD=$("$(program rclone)" obscure - <"$R/pass")
}
rclone_mount() { # REMOTE FLAG...
  mkdir -p "$C" "$M"
  "$(program rclone)" mount "$1" "$M" --read-only --no-modtime --dir-cache-time 1h --attr-timeout 1h \
    --max-read-ahead 1M --cache-dir "$C" "${@:2}" 2>>"$R/err" &
  PID=$! A=$M
  mounted
}
up_rclone_sealed() { # crypt over a local folder: nothing but sealed bytes on the node
  need rclone rclone || return 1
  mkdir -p "$C/sealed"
  crypt "$C/sealed"
  "$(program rclone)" copy "$D" c: --transfers 4 2>"$R/err" && rclone_mount c: --vfs-cache-mode off
}

# ---- over S3, with their own caches on the node

# s3_server: a server over a folder with the data in bucket "data". It stays until the end; its CPU time is no peer's.
s3_server() {
  [ -z "$S3_PID" ] || return 0
  need versitygw s3server && need rclone rclone || return 1
  mkdir -p "$R/s3"
  "$(program versitygw)" --quiet --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" \
    --port "127.0.0.1:$PORT" posix "$R/s3" >"$R/s3.log" 2>&1 &
  S3_PID=$!
  local i
  for ((i = 0; i < 100; i++)); do
    "$(program rclone)" mkdir s3:data 2>"$R/err" && break
    kill -0 "$S3_PID" 2>/dev/null || break
    sleep 0.1
  done
  "$(program rclone)" copy "$D" s3:data --transfers 4 --s3-chunk-size 16M 2>>"$R/err" && return
  kill "$S3_PID" 2>/dev/null
  wait "$S3_PID" 2>/dev/null
  S3_PID=''
  because "the S3 server does not take the data: $(tail -n 1 "$R/err" "$R/s3.log" | tr '\n' ' ')"
}
full=(--vfs-cache-mode full --vfs-read-chunk-size 4M --vfs-read-ahead 64M)
up_rclone() { s3_server && rclone_mount s3:data "${full[@]}" && warm; }
up_rclone_crypt() {
  s3_server || return 1
  crypt s3:crypt
  "$(program rclone)" mkdir s3:crypt 2>"$R/err" && "$(program rclone)" copy "$D" c: --transfers 4 2>>"$R/err" &&
    rclone_mount c: "${full[@]}" && warm
}
down_rclone_crypt() { rm -rf "$R/s3/crypt"; }

s3fs_options() { # CACHE
  (umask 077 && echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" >"$R/s3fs.pass")
  echo "url=http://127.0.0.1:$PORT,passwd_file=$R/s3fs.pass,use_cache=$1,use_path_request_style,parallel_count=16,\
multipart_size=16,max_stat_cache_size=200000,ro"
}
up_s3fs() {
  need s3fs debian && s3_server || return 1
  mkdir -p "$C" "$M"
  "$(program s3fs)" data "$M" -f -o "$(s3fs_options "$C")" >"$R/err" 2>&1 &
  PID=$! A=$M
  mounted && warm
}
up_s3fs_gocryptfs() { # what can be put together to have only ciphertext on the node: that cache in a sealed folder
  need s3fs debian && need gocryptfs gocryptfs && s3_server || return 1
  mkdir -p "$C" "$M" "$R/opened"
  "$(program gocryptfs)" -init -q -scryptn 10 -passfile "$R/pass" "$C" 2>"$R/err" || return 1
  (
    "$(program gocryptfs)" -q -fg -nosyslog -passfile "$R/pass" "$C" "$R/opened" &
    until mountpoint -q "$R/opened"; do kill -0 $! && sleep 0.1 || exit 1; done
    exec "$(program s3fs)" data "$M" -f -o "$(s3fs_options "$R/opened")"
  ) >"$R/err" 2>&1 &
  PID=$! A=$M
  mounted && warm
}
down_s3fs_gocryptfs() { umount -l "$R/opened" 2>/dev/null; }

up_juicefs() { # with its encryption: objects are sealed with AES, their keys with RSA; its metadata in a Redis
  need juicefs juicefs && need redis-server debian && s3_server || return 1
  local juicefs meta="redis://127.0.0.1:$((PORT + 1))/1" i
  juicefs=$(program juicefs)
  mkdir -p "$C" "$M"
  export JFS_RSA_PASSPHRASE=benchmark META_PASSWORD=
  redis-server --port $((PORT + 1)) --bind 127.0.0.1 --save '' --dir "$R" >"$R/redis.log" &
  AUX=$!
  for ((i = 0; i < 300; i++)); do redis-cli -p $((PORT + 1)) ping >/dev/null 2>&1 && break; sleep 0.1; done
  openssl genrsa -aes256 -passout pass:benchmark -out "$R/juicefs.pem" 2048 2>"$R/err"
  "$(program rclone)" mkdir s3:jfs 2>"$R/err"
  "$juicefs" format --storage s3 --bucket "http://127.0.0.1:$PORT/jfs" --access-key "$AWS_ACCESS_KEY_ID" \
    --secret-key "$AWS_SECRET_ACCESS_KEY" --encrypt-rsa-key "$R/juicefs.pem" --trash-days 0 "$meta" vol >>"$R/err" 2>&1 || return 1
  local mount=("$juicefs" mount --no-usage-report --log "$R/juicefs.log" --cache-dir "$C" --cache-size 40000
    --free-space-ratio 0.02)
  "${mount[@]}" "$meta" "$M" >>"$R/err" 2>&1 &
  PID=$! A=$M
  for ((i = 0; i < 600; i++)); do mountpoint -q "$M" && break; sleep 0.1; done
  mountpoint -q "$M" && cp -r "$D/." "$M/" 2>>"$R/err" || return 1
  stop
  rm -rf "$C"
  mkdir -p "$C" "$M"
  "${mount[@]}" --read-only "$meta" "$M" >>"$R/err" 2>&1 &
  PID=$! A=$M
  mounted && warm
}
down_juicefs() { rm -rf "$R/s3/jfs"; }

up_geesefs() {
  need geesefs geesefs && s3_server || return 1
  mkdir -p "$C" "$M"
  "$(program geesefs)" -f --endpoint "http://127.0.0.1:$PORT" --cache "$C" --memory-limit 4000 --stat-cache-ttl 1h \
    data "$M" >"$R/err" 2>&1 &
  PID=$! A=$M
  mounted && warm
}
up_mountpoint() { # through its library: 1 MiB blocks in its cache, at most 2 GiB of memory, 16 threads
  need mp-mount mountpoint && s3_server || return 1
  mkdir -p "$C" "$M"
  "$(program mp-mount)" data "$M" "http://127.0.0.1:$PORT" "$C" 2048 16 >"$R/err" 2>&1 &
  PID=$! A=$M
  mounted && warm
}
