"""Event Hubs, by azure-eventhub."""

import datetime
import threading

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventDataSendError, EventHubError
from azure.identity import ClientSecretCredential

from harness import check, equal, eventually, refused
from sandbox import CERTIFICATE, CLIENT, SANDBOX, SECRET, TENANT, TRUST, unique

HUBS = SANDBOX["event_hubs"]
HUB = HUBS["hub"]
# Others may have filled the hub before.
START = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(milliseconds=1)


def producer(connection=HUBS["emulator"], **options):
    """Sends, and never tries again by itself."""
    return EventHubProducerClient.from_connection_string(connection, **{"retry_total": 0, **options})


def consumer(connection=HUBS["emulator"]):
    """Reads all partitions. One that it has lost on a busy machine it takes again after a second, and not after half a minute."""
    return EventHubConsumerClient.from_connection_string(connection, "$Default", load_balancing_interval=1)


def send(tag, numbers, **where):
    """Sends events that only the reader of the same tag counts."""
    with producer() as hub:
        batch = hub.create_batch(**where)
        for number in numbers:
            batch.add(event(tag, number))
        hub.send_batch(batch)


def event(tag, number):
    """An event with properties."""
    made = EventData(str(number))
    made.properties = {"tag": tag}
    return made


class Reader:
    """Reads in the background, for as long as the block lasts."""

    def __init__(self, tag, reader=None, **where):
        self.tag, self.events, self.where = tag, [], where
        self.reader = reader or consumer()

    def __enter__(self):
        run = lambda: self.reader.receive(on_event=self.take, **self.where)  # noqa: E731
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        return self

    def take(self, partition, got):
        if got and (got.properties or {}).get(b"tag", b"").decode() == self.tag:
            self.events.append((partition.partition_id, got))

    def wait_for(self, number):
        """Their bodies, when there are so many."""
        eventually(lambda: len(self.events) >= number, f"{number} events")
        return sorted(int(got.body_as_str()) for _, got in self.events)

    def __exit__(self, *_):
        self.reader.close()
        self.thread.join(60)


@check
def the_hub_and_its_partitions_are_described():
    with producer() as hub:
        properties = hub.get_eventhub_properties()
        equal(properties["eventhub_name"], HUB)
        equal(hub.get_partition_ids(), properties["partition_ids"])
        partition = hub.get_partition_properties(properties["partition_ids"][0])
        assert partition["last_enqueued_sequence_number"] >= -1


@check
def events_are_read_from_all_partitions():
    tag = unique("tag")
    send(tag, range(20))
    send(tag, range(20, 30), partition_id="0")
    send(tag, range(30, 40), partition_key="server")
    with Reader(tag, starting_position=START) as reader:
        equal(reader.wait_for(40), list(range(40)))


@check
def events_of_one_key_are_in_one_partition():
    tag = unique("tag")
    for number in range(5):
        send(tag, [number], partition_key=tag)
    with Reader(tag, starting_position=START) as reader:
        reader.wait_for(5)
        equal(len({partition for partition, _ in reader.events}), 1)
        equal({got.partition_key for _, got in reader.events}, {tag.encode()})


@check
def events_are_read_from_a_time():
    tag = unique("tag")
    send(tag, range(5))
    with Reader(tag, starting_position=START) as reader:
        reader.wait_for(5)
        latest = max(got.enqueued_time for _, got in reader.events)
    eventually(lambda: datetime.datetime.now(datetime.timezone.utc) > latest, "the clock goes on")
    begun = latest + datetime.timedelta(milliseconds=1)
    eventually(lambda: datetime.datetime.now(datetime.timezone.utc) > begun, "the clock goes on")
    send(tag, range(5, 10))
    with Reader(tag, starting_position=begun) as reader:
        equal(reader.wait_for(5), list(range(5, 10)))


@check
def events_are_read_from_an_offset():
    tag = unique("tag")
    send(tag, range(10), partition_id="0")
    with Reader(tag, partition_id="0", starting_position=START) as reader:
        reader.wait_for(10)
        middle = sorted(got.sequence_number for _, got in reader.events)[4]
        offset = next(got.offset for _, got in reader.events if got.sequence_number == middle)
    with Reader(tag, partition_id="0", starting_position=offset) as reader:
        equal(reader.wait_for(5), list(range(5, 10)))
    with Reader(tag, partition_id="0", starting_position=middle) as reader:
        equal(reader.wait_for(5), list(range(5, 10)))


@check
def several_readers_see_all_events():
    tag = unique("tag")
    send(tag, range(10))
    with Reader(tag, starting_position=START) as one, Reader(tag, starting_position=START) as two:
        equal(one.wait_for(10), list(range(10)))
        equal(two.wait_for(10), list(range(10)))


@check
def a_batch_that_is_too_large_is_refused():
    with producer() as hub:
        batch = hub.create_batch()
        equal(batch.max_size_in_bytes, 1024 * 1024)
        refused(ValueError, lambda: batch.add(EventData(b"x" * 1_100_000)))
        large = [EventData(b"x" * 600_000), EventData(b"x" * 600_000)]
        refused((ValueError, EventDataSendError), lambda: hub.send_batch(large))


@check
def an_unknown_hub_and_an_unknown_partition_are_refused():
    elsewhere = HUBS["emulator"].rsplit("EntityPath=", 1)[0] + f"EntityPath={unique('hub')}"
    with producer(elsewhere) as hub:
        refused(ConnectError, lambda: hub.send_event(EventData("x")))
    with producer() as hub:
        refused(EventHubError, lambda: hub.send_event(EventData("x"), partition_id="99"))


@check
def a_key_that_may_only_receive_cannot_send():
    listen = SANDBOX["service_bus"]["listen_only"] + f";UseDevelopmentEmulator=true;EntityPath={HUB}"
    with producer(listen) as hub:
        refused((AuthenticationError, EventHubError), lambda: hub.send_event(EventData("x")))


@check
def a_wrong_key_is_refused():
    wrong = HUBS["emulator"].replace("SharedAccessKey=", "SharedAccessKey=x")
    with producer(wrong) as hub:
        refused(AuthenticationError, lambda: hub.send_event(EventData("x")))


@check
def an_identity_sends_over_tls_and_over_a_websocket():
    port = HUBS["namespace"].rsplit(":", 1)[1]
    for transport in (TransportType.Amqp, TransportType.AmqpOverWebsocket):
        tag = unique("tag")
        hub = EventHubProducerClient(
            "localhost",
            HUB,
            ClientSecretCredential(TENANT, CLIENT, SECRET, **TRUST),
            custom_endpoint_address=f"sb://localhost:{port}",
            transport_type=transport,
            connection_verify=CERTIFICATE,
            retry_total=0,
        )
        with hub:
            hub.send_event(event(tag, 1))
        with Reader(tag, starting_position=START) as reader:
            equal(reader.wait_for(1), [1])
