# shellcheck shell=bash
# The same commands when a Docker engine answers: docker-compose.yml at the root, its stack part only.
# shellcheck disable=SC2154  # variables come from common.sh

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

compose() { docker compose -f "$root/docker-compose.yml" "$@" 9>&-; }

# The images of the registry and of Jaeger hold nothing to ask them with, so they are asked from here.
docker_up() {
  local name begun=$SECONDS
  # shellcheck disable=SC2046  # one word per component
  compose up -d --wait $(components) || return 1
  for name in registry $(components | grep -x jaeger || true); do
    until "${name}_ready"; do
      if [ $((SECONDS - begun)) -ge 120 ]; then complain "$name does not answer after 120 s; see 'deploy/local/stack logs $name'"; return 1; fi
      sleep 0.2
    done
  done
  say stack "up in Docker, $((SECONDS - begun)) s"
}

# shellcheck disable=SC2046  # one word per component
docker_fetch() { compose pull $(components); }
docker_down() { compose --profile '*' down; }
docker_reset() { compose --profile '*' down --volumes; }
docker_status() {
  compose ps
  [ "$(compose ps --services --status running | grep -cxE "$(components | paste -sd'|')")" = "$(components | wc -l)" ] || return 3
}
docker_logs() {
  local name=$1
  shift
  compose logs --tail 200 "$@" "$name"
}
docker_kill_broker() { compose kill --signal KILL kafka; }
docker_start_broker() { compose up -d --wait kafka; }
docker_restart_broker() { compose restart kafka && compose up -d --wait kafka; }
