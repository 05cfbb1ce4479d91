# shellcheck shell=bash
# Apicurio, a schema registry that speaks Confluent's API. Its storage is an H2 file, so that schemas survive a restart
# and the registry neither waits for the broker nor dies with it.
# shellcheck disable=SC2154  # variables come from common.sh

registry_url=http://$host:$registry_port/apis/ccompat/v7
registry_version=$(coordinate apicurio-registry-app)
registry_home=$cache_dir/apicurio-registry-$registry_version

registry_download() { maven "$1" registry dependency:unpack && rm -rf "$1/PaxHeaders.X"; }
fetch_registry() { cached "$registry_home" maven registry_download; }

start_registry() {
  mkdir -p "$stack_dir/registry"
  # H2 writes each commit at once (it would wait half a second) and stays open when the pool is empty.
  spawn registry env \
    QUARKUS_HTTP_HOST="$host" QUARKUS_HTTP_PORT="$registry_port" QUARKUS_LOG_CONSOLE_COLOR=false \
    APICURIO_STORAGE_KIND=sql APICURIO_STORAGE_SQL_KIND=h2 \
    APICURIO_DATASOURCE_URL="jdbc:h2:file:$stack_dir/registry/h2;DB_CLOSE_DELAY=-1;WRITE_DELAY=0" \
    APICURIO_DATASOURCE_USERNAME=sa APICURIO_DATASOURCE_PASSWORD=sa \
    java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -jar "$registry_home/apicurio-registry-app-$registry_version-runner.jar"
}

registry_ready() { http_ok "$registry_url/subjects"; }
