"""Subscriptions of their own for checks, and clients of Service Bus."""

import datetime

from azure.servicebus import ServiceBusClient
from azure.servicebus.management import CorrelationRuleFilter, ServiceBusAdministrationClient

from harness import eventually
from sandbox import CERTIFICATE, SANDBOX, unique

BUS = SANDBOX["service_bus"]
# Locks that no machine is too busy to keep, and locks that are over soon.
LONG = datetime.timedelta(minutes=5)
SHORT = datetime.timedelta(seconds=1)


def administration():
    """Manages the namespace."""
    return ServiceBusAdministrationClient.from_connection_string(BUS["connection"], connection_verify=CERTIFICATE)


def _topic():
    """A topic of this process, partitioned as the sandbox's own. On one that others use as well, a subscription would get their
    messages until its first rule is gone."""
    name = unique("topic")
    administration().create_topic(name, enable_partitioning=True)
    return name


TOPIC = _topic()


def client(connection=BUS["emulator"], **options):
    """Speaks AMQP without TLS, and never tries again by itself."""
    return ServiceBusClient.from_connection_string(connection, **{"retry_total": 0, **options})


def subscribe(topic=TOPIC, rule=None, lock=LONG, **settings):
    """Makes a subscription that gets messages with its own name as subject, and no others."""
    name = unique("job")
    management = administration()
    management.create_subscription(topic, name, lock_duration=lock, **settings)
    management.create_rule(topic, name, name, filter=rule or CorrelationRuleFilter(label=name))
    management.delete_rule(topic, name, "$Default")
    return name


def counts(name, topic=TOPIC):
    """Active and dead messages."""
    properties = administration().get_subscription_runtime_properties(topic, name)
    return properties.active_message_count, properties.dead_letter_message_count


def receive(receiver, number):
    """Exactly so many messages, however they arrive."""
    messages = []

    def enough():
        messages.extend(receiver.receive_messages(number - len(messages), max_wait_time=5))
        return len(messages) >= number

    eventually(enough, f"{number} messages")
    return messages


