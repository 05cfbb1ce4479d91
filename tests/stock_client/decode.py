"""Reads topics from the beginning to their present end and prints each record as one line of JSON.

A stock Kafka client (confluent-kafka) and a stock Avro reader (fastavro), following the documented wire format: a zero
byte, the schema's id as four bytes, the datum. Bytes are printed as base64, timestamps as milliseconds.
Ends with 1 and a line on standard error when a record cannot be decoded or leaves bytes over.
"""

import argparse
import base64
import datetime
import io
import json
import os
import struct
import sys
import urllib.request

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# The registry stands beside the brokers: no proxy.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Schemas:
    def __init__(self, registry):
        self.registry = registry.rstrip("/")
        self.known = {}

    def by_id(self, schema_id):
        if schema_id not in self.known:
            with HTTP.open(f"{self.registry}/schemas/ids/{schema_id}", timeout=15) as answer:
                text = json.load(answer)["schema"]
            self.known[schema_id] = fastavro.parse_schema(json.loads(text))
        return self.known[schema_id]

    def decode(self, value):
        magic, schema_id = struct.unpack(">bI", value[:5])
        if magic != 0:
            raise ValueError("not in the wire format")
        datum = io.BytesIO(value[5:])
        record = fastavro.schemaless_reader(datum, self.by_id(schema_id), None)
        if datum.read(1):
            raise ValueError("bytes are left over after the datum")
        return schema_id, record


def plain(value):
    """What json cannot write by itself."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    raise TypeError(type(value).__name__)


def ends(consumer, topic):
    """Partitions of a topic that hold records, with the offset after the last."""
    metadata = consumer.list_topics(topic, timeout=15).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    found = {}
    for partition in metadata.partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=15)
        if high > low:
            found[(topic, partition)] = high
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("topics", nargs="+", metavar="TOPIC")
    arguments.add_argument("--bootstrap-servers", default=os.environ.get("WAYBILL_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092"))
    arguments.add_argument("--registry-url", default=os.environ.get("WAYBILL_REGISTRY__URL", "http://127.0.0.1:8081/apis/ccompat/v7"))
    arguments = arguments.parse_args()

    schemas = Schemas(arguments.registry_url)
    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap_servers,
        "group.id": "stock-client",
        "enable.auto.commit": False,
        "enable.partition.eof": False,
    })
    open_partitions = {}
    for topic in arguments.topics:
        open_partitions.update(ends(consumer, topic))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in open_partitions])
    failed = False
    while open_partitions:
        message = consumer.poll(30)
        if message is None:
            sys.exit("no record for 30 s before the end of the topics")
        if message.error():
            sys.exit(str(message.error()))
        place = (message.topic(), message.partition())
        try:
            schema_id, record = schemas.decode(message.value())
            line = {
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "key": message.key(),
                "headers": {name: value.decode("utf-8", "replace") for name, value in message.headers() or []},
                "schemaId": schema_id,
                "value": record,
            }
            print(json.dumps(line, default=plain, ensure_ascii=False))
        except Exception as error:  # the position, never the content
            failed = True
            print(f"{message.topic()} {message.partition()} {message.offset()}: {type(error).__name__}", file=sys.stderr)
        if message.offset() + 1 >= open_partitions.get(place, 0):
            open_partitions.pop(place, None)
    consumer.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
