# shellcheck shell=bash
# The same commands when a Docker engine answers: docker-compose.yml at the root, its stack part only.
# shellcheck disable=SC2154  # variables come from common.sh

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

compose() { docker compose -f "$root/docker-compose.yml" "$@" 9>&-; }

# shellcheck disable=SC2046  # one word per component
docker_up() { compose up -d --wait $(components); }
# shellcheck disable=SC2046
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
