"""What the real service refuses, the sandbox refuses, with the same type of error."""

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)
from azure.servicebus.management import TrueRuleFilter
from azure.identity import ClientSecretCredential

from bus import BUS, TOPIC, administration, client, receive, subscribe
from harness import check, equal, refused
from sandbox import CERTIFICATE, CLIENT, SECRET, TENANT, TRUST, application, unique

LISTEN_ONLY = BUS["listen_only"] + ";UseDevelopmentEmulator=true"


def try_to_send(bus, message=None, topic=TOPIC):
    """Sends one message or a list."""
    with bus.get_topic_sender(topic) as sender:
        sender.send_messages(message or ServiceBusMessage("one", subject="nobody"))


@check
def a_message_that_is_too_large():
    with client() as bus:
        refused(MessageSizeExceededError, lambda: try_to_send(bus, ServiceBusMessage(b"x" * 300_000)))


@check
def a_batch_that_is_too_large():
    with client() as bus, bus.get_topic_sender(TOPIC) as sender:
        batch = sender.create_message_batch()
        equal(batch.max_size_in_bytes, 256 * 1024)
        batch.add_message(ServiceBusMessage(b"x" * 200_000))
        refused(MessageSizeExceededError, lambda: batch.add_message(ServiceBusMessage(b"x" * 100_000)))
        messages = [ServiceBusMessage(b"x" * 100_000) for _ in range(3)]
        refused(MessageSizeExceededError, lambda: sender.send_messages(messages))


@check
def sessions_that_are_mixed_in_a_batch_of_a_partitioned_topic():
    messages = [ServiceBusMessage("one", session_id=session) for session in ("a", "b")]
    with client() as bus:
        refused(ServiceBusError, lambda: try_to_send(bus, messages), "distinct SessionId")


@check
def sessions_may_be_mixed_in_a_batch_of_another_topic():
    topic = unique("topic")
    administration().create_topic(topic, enable_partitioning=False)
    messages = [ServiceBusMessage("one", session_id=session) for session in ("a", "b")]
    with client() as bus:
        try_to_send(bus, messages, topic)
    administration().delete_topic(topic)


@check
def sending_with_a_key_that_may_only_receive():
    with client(LISTEN_ONLY) as bus:
        refused(ServiceBusAuthorizationError, lambda: try_to_send(bus))


@check
def receiving_with_a_key_that_may_only_receive_is_allowed():
    name = subscribe()
    with client() as sender, client(LISTEN_ONLY) as bus:
        try_to_send(sender, ServiceBusMessage("one", subject=name))
        with bus.get_subscription_receiver(TOPIC, name) as receiver:
            receiver.complete_message(receive(receiver, 1)[0])


@check
def a_wrong_key():
    wrong = BUS["connection"].rsplit("SharedAccessKey=", 1)[0] + "SharedAccessKey=d3Jvbmc=;UseDevelopmentEmulator=true"
    with client(wrong) as bus:
        refused((ServiceBusAuthenticationError, ServiceBusAuthorizationError), lambda: try_to_send(bus))


@check
def an_unknown_topic_and_an_unknown_subscription():
    with client() as bus:
        refused(MessagingEntityNotFoundError, lambda: try_to_send(bus, topic=unique("topic")))
        receiver = bus.get_subscription_receiver(TOPIC, unique("job"))
        refused(MessagingEntityNotFoundError, lambda: receiver.receive_messages(1, max_wait_time=5))


@check
def receiving_from_a_subscription_with_sessions_as_if_it_had_none():
    name = subscribe(requires_session=True)
    with client() as bus:
        receiver = bus.get_subscription_receiver(TOPIC, name)
        refused(ServiceBusError, lambda: receiver.receive_messages(1, max_wait_time=5), "session")


@check
def receiving_a_session_from_a_subscription_without_sessions():
    name = subscribe()
    with client() as bus:
        receiver = bus.get_subscription_receiver(TOPIC, name, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5)
        refused(ServiceBusError, lambda: receiver.receive_messages(1, max_wait_time=5))


@check
def a_message_without_session_is_dead_where_sessions_are_required():
    name = subscribe(requires_session=True)
    with client() as bus:
        try_to_send(bus, ServiceBusMessage("one", subject=name))
        with bus.get_subscription_receiver(TOPIC, name, sub_queue="deadletter") as dead:
            [message] = receive(dead, 1)
            assert "session" in message.dead_letter_reason.lower(), message.dead_letter_reason
            dead.complete_message(message)


def over_tls(transport, credential):
    """A client of the sandbox's address in a namespace of any name."""
    port = BUS["namespace"].rsplit(":", 1)[1]
    return ServiceBusClient(
        "localhost",
        credential,
        custom_endpoint_address=f"sb://localhost:{port}",
        transport_type=transport,
        connection_verify=CERTIFICATE,
        retry_total=0,
    )


def without_tls(credential):
    """The same, and errors have their own types: with an address of its own this client has one for all."""
    return ServiceBusClient(BUS["namespace"], credential, use_tls=False, retry_total=0)


def identity(client_id=CLIENT, secret=SECRET):
    """A credential of Entra."""
    return ClientSecretCredential(TENANT, client_id, secret, **TRUST)


@check
def an_identity_sends_and_receives_over_tls_and_over_a_websocket():
    for transport in (TransportType.Amqp, TransportType.AmqpOverWebsocket):
        name = subscribe()
        with over_tls(transport, identity()) as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
            try_to_send(bus, ServiceBusMessage("one", subject=name))
            receiver.complete_message(receive(receiver, 1)[0])


@check
def an_identity_without_the_right_to_send():
    own = application(rights={"send": False, "manage": False})
    with without_tls(identity(own["client"], own["secret"])) as bus:
        refused(ServiceBusAuthorizationError, lambda: try_to_send(bus))


@check
def a_token_that_is_for_another_service():
    class Other:
        def get_token(self, *_, **__):
            return identity().get_token("https://vault.azure.net/.default")

    with without_tls(Other()) as bus:
        refused((ServiceBusAuthenticationError, ServiceBusAuthorizationError), lambda: try_to_send(bus))


@check
def a_token_that_has_expired():
    own = application(token_lifetime=0)
    with without_tls(identity(own["client"], own["secret"])) as bus:
        refused((ServiceBusAuthenticationError, ServiceBusAuthorizationError), lambda: try_to_send(bus))


@check
def managing_rules_by_amqp_is_not_needed_to_receive():
    # `$Default` takes everything, so a subscription without a rule of its own sees messages of others.
    name = unique("job")
    administration().create_subscription(TOPIC, name)
    equal([type(rule.filter) for rule in administration().list_rules(TOPIC, name)], [TrueRuleFilter])
    other = unique("label")
    with client() as bus:
        try_to_send(bus, ServiceBusMessage("one", subject=other))
        with bus.get_subscription_receiver(TOPIC, name) as receiver:
            assert other in [message.subject for message in receiver.peek_messages(1000)]
    administration().delete_subscription(TOPIC, name)
