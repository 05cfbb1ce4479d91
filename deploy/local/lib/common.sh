# shellcheck shell=bash
# What every part of the local stack shares: where things live, how a daemon is started, recognised and stopped.
# Sourced by ../stack; expects `here` (deploy/local) and `root` (the clone).
# shellcheck disable=SC2034,SC2154  # variables are read and set across the sourced files

host=127.0.0.1
kafka_port=${WAYBILL_STACK_KAFKA_PORT:-9092}
kafka_controller_port=${WAYBILL_STACK_KAFKA_CONTROLLER_PORT:-9093}
registry_port=${WAYBILL_STACK_REGISTRY_PORT:-8081}
postgres_port=${WAYBILL_STACK_POSTGRES_PORT:-15432}
jaeger_port=${WAYBILL_STACK_JAEGER_PORT:-16686}
otlp_port=${WAYBILL_STACK_OTLP_PORT:-4317}
otlp_http_port=${WAYBILL_STACK_OTLP_HTTP_PORT:-4318}
jaeger_wanted=${WAYBILL_STACK_JAEGER:-on}

stack_dir=${WAYBILL_STACK_DIR:-$root/.stack}
case $stack_dir in /*) ;; *) stack_dir=$PWD/$stack_dir ;; esac
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/waybill
log_dir=$stack_dir/logs
pid_dir=$stack_dir/pids

started_at=$SECONDS

say() { printf '  %-9s %s\n' "$1" "$2"; }
complain() { printf 'stack: %s\n' "$*" >&2; }
die() { complain "$*"; exit 1; }

# components: the names in the order they are shown.
components() {
  printf 'kafka\nregistry\npostgres\n'
  if [ "$jaeger_wanted" != off ]; then printf 'jaeger\n'; fi
}

# ports_of NAME: every port the component listens on.
ports_of() {
  case $1 in
    kafka) echo "$kafka_port $kafka_controller_port" ;;
    registry) echo "$registry_port" ;;
    postgres) echo "$postgres_port" ;;
    jaeger) echo "$jaeger_port $otlp_port $otlp_http_port" ;;
    *) die "unknown component '$1' (kafka, registry, postgres, jaeger)" ;;
  esac
}

port_answers() { (exec 3<>"/dev/tcp/$host/$1") 2>/dev/null; }

# --- processes -------------------------------------------------------------------------------------------------

# A pid alone is no proof: it may have been given to another process since. The kernel's start time of the process
# (in clock ticks since boot, field 22 of /proc/PID/stat, counted after the name because a name may hold spaces)
# together with the boot's id is. A zombie is gone, unless threads of it are still at work (a killed JVM for a moment).
identity_of() {
  local pid=$1 stat tasks
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086  # split on purpose
  set -- $stat
  if [ "$1" = Z ]; then
    tasks=("/proc/$pid/task"/*)
    [ "${#tasks[@]}" -gt 1 ] || return 1
  fi
  printf '%s %s\n' "${20}" "$(cat /proc/sys/kernel/random/boot_id)"
}

# pid_of NAME: the pid of the component if it runs and is the process that this stack started.
pid_of() {
  local pid identity
  [ -r "$pid_dir/$1" ] || return 1
  { read -r pid && read -r identity; } <"$pid_dir/$1" || return 1
  [ "$(identity_of "$pid")" = "$identity" ] || return 1
  printf '%s\n' "$pid"
}

# spawn NAME COMMAND…: starts a daemon that owns its session, holds no terminal, pipe, lock or make's jobserver open,
# and writes to logs/NAME.log. The log of the start before is kept as NAME.log.1.
spawn() {
  local name=$1 log=$log_dir/$1.log pid
  shift
  if [ -f "$log" ]; then mv -f "$log" "$log.1"; fi
  : >"$log"
  (
    cd /
    exec </dev/null >>"$log" 2>&1
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then eval "exec $fd>&-"; fi
    done
    # Without job control this subshell leads no process group, so setsid does not fork: the pid stays the daemon's.
    exec setsid "$@"
  ) &
  pid=$!
  printf '%s\n%s\n' "$pid" "$(identity_of "$pid")" >"$pid_dir/$name"
  disown "$pid" 2>/dev/null || true
}

# await NAME SECONDS CHECK…: until CHECK succeeds; fails as soon as the process is gone, or when the time is up.
await() {
  local name=$1 limit=$2 begun=$SECONDS
  shift 2
  until "$@"; do
    if ! pid_of "$name" >/dev/null; then
      complain "$name died while starting; the end of $log_dir/$name.log:"
      tail -n 25 "$log_dir/$name.log" | sed 's/^/    /' >&2
      return 1
    fi
    if [ $((SECONDS - begun)) -ge "$limit" ]; then
      complain "$name is not ready after $limit s; the end of $log_dir/$name.log:"
      tail -n 25 "$log_dir/$name.log" | sed 's/^/    /' >&2
      return 1
    fi
    sleep 0.1
  done
}

logged() { grep -qF -- "$2" "$log_dir/$1.log"; }
http_ok() { curl -sf -o /dev/null --noproxy '*' --max-time 5 "$1"; }

# stop NAME [SIGNAL] [SECONDS]: asks the process to end, insists when it does not; does nothing to what is not ours.
stop() {
  local name=$1 signal=${2:-TERM} limit=${3:-20} pid port begun=$SECONDS
  pid=$(pid_of "$name") || { rm -f "$pid_dir/$name"; return 0; }
  kill -s "$signal" "$pid" 2>/dev/null || true
  while pid_of "$name" >/dev/null; do
    if [ $((SECONDS - begun)) -ge "$limit" ]; then
      complain "$name (pid $pid) ignores SIG$signal for $limit s: killed"
      kill -s KILL "$pid" 2>/dev/null || true
      limit=$((limit + 5))
    fi
    sleep 0.05
  done
  rm -f "$pid_dir/$name"
  # The kernel closes the sockets of a killed process a moment after it is gone.
  for port in $(ports_of "$name"); do
    wait_until_closed "$port" || true
  done
}

# wait_until_closed PORT: fails when the port still answers after two seconds.
wait_until_closed() {
  local tries=20
  while port_answers "$1"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

# --- the cache -------------------------------------------------------------------------------------------------

# coordinate ARTIFACT: the version that pom.xml names for it.
coordinate() {
  sed -n "s:.*<artifactId>$1</artifactId><version>\([^<]*\)</version>.*:\1:p" "$here/pom.xml" | head -n 1
}

# cached FOLDER WHAT COMMAND…: runs COMMAND with an empty folder as its last argument and moves the result to FOLDER
# in one step, so that an interrupted download is never taken for a whole one. One at a time per WHAT (Maven's local
# repository is not safe for two writers), for all clones of this user.
cached() {
  local folder=$1 what=$2 draft
  shift 2
  if [ -d "$folder" ]; then return 0; fi
  mkdir -p "$cache_dir" "$(dirname "$folder")"
  (
    flock 8
    if [ -d "$folder" ]; then exit 0; fi
    rm -rf "$folder".draft.*
    draft=$folder.draft.$$
    mkdir -p "$draft"
    "$@" "$draft" 8>&- || { rm -rf "$draft"; exit 1; }
    mv "$draft" "$folder"
  ) 8>"$cache_dir/$what.lock"
}

# maven FOLDER PROFILE GOAL…: one goal of the dependency plugin into FOLDER; says something only when it fails.
maven() {
  local folder=$1 profile=$2 log=$cache_dir/maven.log
  shift 2
  mvn -B -ntp -q -f "$here/pom.xml" -P"$profile" "$@" -DoutputDirectory="$folder" >"$log" 2>&1 || { complain "Maven failed:"; tail -n 15 "$log" >&2; return 1; }
  rm -rf "$folder/.maven"
}
