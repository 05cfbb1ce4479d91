# shellcheck shell=bash
# Apache Kafka: one KRaft node that is broker and controller.
# shellcheck disable=SC2154  # variables come from common.sh

kafka_libs=$cache_dir/kafka-$(coordinate kafka_2.13)

kafka_download() { maven "$1" kafka dependency:copy-dependencies; }
fetch_kafka() { cached "$kafka_libs" maven kafka_download; }

kafka_properties() {
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$kafka_controller_port
listeners=PLAINTEXT://$host:$kafka_port,CONTROLLER://$host:$kafka_controller_port
advertised.listeners=PLAINTEXT://$host:$kafka_port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$stack_dir/kafka/data
$(cat "$here/kafka.properties")
PROPERTIES
}

start_kafka() {
  local folder=$stack_dir/kafka
  mkdir -p "$folder"
  kafka_properties >"$folder/server.properties"
  if [ ! -f "$folder/data/meta.properties" ]; then
    # A cluster id is 16 random bytes in URL-safe base64 that does not begin with a dash.
    java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$kafka_libs/*" kafka.tools.StorageTool format --ignore-formatted \
      -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'pw' | tr -d '=')" -c "$folder/server.properties" >"$log_dir/kafka-format.log" 2>&1 \
      || { complain "Kafka's data folder could not be formatted:"; tail -n 20 "$log_dir/kafka-format.log" >&2; return 1; }
  fi
  spawn kafka java -Xms512m -Xmx512m -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd\'T\'HH:mm:ss.SSS \
    -cp "$kafka_libs/*" kafka.Kafka "$folder/server.properties"
}

# The port opens before the broker serves; the line is written when it does.
kafka_ready() { logged kafka 'Kafka Server started' && port_answers "$kafka_port"; }
