# shellcheck shell=bash
# PostgreSQL: the distribution's, or Maven's embedded binaries where there is none. Superuser waybill, so that tests can
# create databases of their own. TCP only: a clone's path may be too long for a socket.
# shellcheck disable=SC2016,SC2034,SC2154  # variables come from common.sh and go to ../stack; pom.xml has its own ${…}

postgres_url=postgres://waybill:waybill@$host:$postgres_port/waybill
postgres_embedded=postgres-$(coordinate 'embedded-postgres-binaries-linux-${postgres.arch}')

# PostgreSQL refuses to run as root.
postgres_user() { if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi; }
as_postgres() {
  if [ "$(id -u)" -ne 0 ]; then "$@"; else
    setpriv --reuid="$(postgres_user)" --regid="$(id -g "$(postgres_user)")" --init-groups -- "$@"
  fi
}
# Whether that user can get into a folder, which one below root's home is not.
postgres_reaches() { (cd / && as_postgres test -x "$1"); }

postgres_embedded_home() {
  local home=$cache_dir
  if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$home"
    postgres_reaches "$home" || home=/var/cache/waybill
  fi
  printf '%s/%s\n' "$home" "$postgres_embedded"
}

# The newest server of the distribution, else (or with WAYBILL_STACK_POSTGRES=embedded) Maven's.
postgres_bin() {
  local folder best=
  if [ "${WAYBILL_STACK_POSTGRES:-}" = embedded ]; then
    printf '%s/bin\n' "$(postgres_embedded_home)"
    return 0
  fi
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin; do
    if [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ]; then
      best=$(printf '%s\n%s\n' "$best" "$folder" | sort -V | tail -n 1)
    fi
  done
  if [ -z "$best" ] && command -v postgres >/dev/null && command -v initdb >/dev/null; then
    best=$(dirname "$(command -v postgres)")
  fi
  printf '%s\n' "${best:-$(postgres_embedded_home)/bin}"
}

postgres_download() {
  local arch=amd64
  case $(uname -m) in aarch64 | arm64) arch=arm64v8 ;; esac
  # The archive holds one .txz of the server.
  maven "$1/archive" postgres -Dpostgres.arch="$arch" dependency:unpack-dependencies \
    && tar -xJf "$1"/archive/*.txz -C "$1" && rm -rf "$1/archive"
}

fetch_postgres() {
  if [ ! -x "$(postgres_bin)/postgres" ]; then cached "$(postgres_embedded_home)" maven postgres_download; fi
}

# Its data must be reachable for that user, which a clone under a private home is not.
postgres_data() {
  local folder=$stack_dir/postgres
  if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$folder" && chown "$(postgres_user)" "$folder"
    if ! postgres_reaches "$folder"; then
      folder=$(postgres_refuge)
      mkdir -p "$folder" && chown "$(postgres_user)" "$folder"
    fi
  fi
  mkdir -p "$folder"
  printf '%s/data\n' "$folder"
}
postgres_refuge() { printf '/var/tmp/waybill-%s/postgres\n' "$(printf '%s' "$stack_dir" | sha256sum | cut -c 1-16)"; }

postgres_init() {
  local bin=$1 data=$2 draft=$2.draft
  rm -rf "$draft"
  {
    cd /
    echo waybill >"$data.password"
    chmod 644 "$data.password"
    as_postgres "$bin/initdb" -D "$draft" -U waybill --pwfile="$data.password" --auth=scram-sha-256 -E UTF8 --locale=C --no-instructions
    # No psql in the embedded binaries; a server on its own can do it before the first start.
    echo 'CREATE DATABASE waybill' | as_postgres "$bin/postgres" --single -D "$draft" postgres
    rm -f "$data.password"
    mv "$draft" "$data"
  } >"$log_dir/postgres-init.log" 2>&1
}

start_postgres() {
  local bin data
  bin=$(postgres_bin)
  data=$(postgres_data)
  if [ ! -d "$data" ]; then
    (postgres_init "$bin" "$data") || { complain "PostgreSQL's data folder could not be made:"; tail -n 20 "$log_dir/postgres-init.log" >&2; return 1; }
  fi
  local made_by runs
  made_by=$(cat "$data/PG_VERSION")
  runs=$("$bin/postgres" -V | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  if [ "$made_by" != "$runs" ]; then
    complain "the data in $data is PostgreSQL $made_by's, $bin is $runs: run 'deploy/local/stack reset' (deletes the data)"
    return 1
  fi
  postgres_clear "$data"
  (
    if [ "$(id -u)" -eq 0 ]; then
      set -- setpriv --reuid="$(postgres_user)" --regid="$(id -g "$(postgres_user)")" --init-groups -- "$bin/postgres"
    else
      set -- "$bin/postgres"
    fi
    spawn postgres "$@" -D "$data" -h "$host" -p "$postgres_port" -c unix_socket_directories= -c max_connections=200 -c timezone=UTC -c log_timezone=UTC
  )
}

# After kill -9 of the server: its children notice within a moment, and until its parent has reaped it the dead pid in
# postmaster.pid looks alive. The file is removed once no process works in the data folder.
postgres_clear() {
  local tries=100 folder=$1
  [ -f "$folder/postmaster.pid" ] || return 0
  while worked_in "$folder"; do
    tries=$((tries - 1))
    # PostgreSQL itself says then what is wrong.
    [ "$tries" -gt 0 ] || return 0
    sleep 0.1
  done
  rm -f "$folder/postmaster.pid"
}
worked_in() {
  local cwd
  for cwd in /proc/[0-9]*/cwd; do
    if [ "$(readlink "$cwd" 2>/dev/null)" = "$1" ]; then return 0; fi
  done
  return 1
}

postgres_ready() { logged postgres 'ready to accept connections' && port_answers "$postgres_port"; }
