"""The management of Service Bus, by the administration client."""

import datetime

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.servicebus.management import (
    CorrelationRuleFilter,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleFilter,
    TrueRuleFilter,
)

from harness import check, equal, refused
from sandbox import CERTIFICATE, CLIENT, SANDBOX, SECRET, TENANT, TRUST, Fault, application, unique

BUS = SANDBOX["service_bus"]
TOPIC = BUS["topic"]


def administration(connection=BUS["connection"], **options):
    """A client that signs with a key."""
    return ServiceBusAdministrationClient.from_connection_string(connection, connection_verify=CERTIFICATE, **options)


def with_identity(client_id=CLIENT, secret=SECRET):
    """A client that shows a token."""
    credential = ClientSecretCredential(TENANT, client_id, secret, **TRUST)
    return ServiceBusAdministrationClient(BUS["namespace"], credential, connection_verify=CERTIFICATE)


@check
def a_subscription_has_what_it_was_made_with():
    client, name = administration(), unique("job")
    client.create_subscription(
        TOPIC,
        name,
        lock_duration=datetime.timedelta(seconds=45),
        requires_session=True,
        max_delivery_count=1000,
        default_message_time_to_live=datetime.timedelta(hours=48),
        auto_delete_on_idle=datetime.timedelta(hours=72),
        dead_lettering_on_message_expiration=True,
        user_metadata="a <b> & c",
    )
    made = client.get_subscription(TOPIC, name)
    equal(made.lock_duration, datetime.timedelta(seconds=45))
    equal(made.requires_session, True)
    equal(made.max_delivery_count, 1000)
    equal(made.default_message_time_to_live, datetime.timedelta(hours=48))
    equal(made.auto_delete_on_idle, datetime.timedelta(hours=72))
    equal(made.dead_lettering_on_message_expiration, True)
    equal(made.user_metadata, "a <b> & c")
    assert name in [one.name for one in client.list_subscriptions(TOPIC)]
    client.delete_subscription(TOPIC, name)
    refused(ResourceNotFoundError, lambda: client.get_subscription(TOPIC, name))
    refused(ResourceNotFoundError, lambda: client.delete_subscription(TOPIC, name))


@check
def what_is_not_said_is_as_the_service_has_it():
    client, name = administration(), unique("job")
    client.create_subscription(TOPIC, name)
    made = client.get_subscription(TOPIC, name)
    equal(made.lock_duration, datetime.timedelta(minutes=1))
    equal((made.requires_session, made.max_delivery_count), (False, 10))
    assert made.auto_delete_on_idle > datetime.timedelta(days=10_000_000)
    rules = list(client.list_rules(TOPIC, name))
    equal([(rule.name, type(rule.filter)) for rule in rules], [("$Default", TrueRuleFilter)])


@check
def a_second_subscription_of_the_same_name_is_refused():
    client, name = administration(), unique("job")
    client.create_subscription(TOPIC, name)
    refused(ResourceExistsError, lambda: client.create_subscription(TOPIC, name), "already exists")


@check
def a_subscription_of_an_unknown_topic_is_not_found():
    refused(ResourceNotFoundError, lambda: administration().create_subscription(unique("topic"), "job"))


@check
def a_subscription_is_changed_but_not_everything_of_it():
    client, name = administration(), unique("job")
    client.create_subscription(TOPIC, name)
    made = client.get_subscription(TOPIC, name)
    made.max_delivery_count = 33
    client.update_subscription(TOPIC, made)
    equal(client.get_subscription(TOPIC, name).max_delivery_count, 33)
    made.requires_session = True
    refused(HttpResponseError, lambda: client.update_subscription(TOPIC, made), "RequiresSession")
    made.name = unique("job")
    refused(ResourceNotFoundError, lambda: client.update_subscription(TOPIC, made))


@check
def values_that_the_service_does_not_take_are_refused():
    client = administration()
    for setting in (
        {"lock_duration": datetime.timedelta(minutes=6)},
        {"auto_delete_on_idle": datetime.timedelta(minutes=4)},
        {"max_delivery_count": 0},
    ):
        error = refused(HttpResponseError, lambda: client.create_subscription(TOPIC, unique("job"), **setting))
        equal((setting, error.status_code), (setting, 400))
    refused(HttpResponseError, lambda: client.create_subscription(TOPIC, "j" * 51))


@check
def rules_are_made_read_changed_and_deleted():
    client, name = administration(), unique("job")
    client.create_subscription(TOPIC, name)
    moment = datetime.datetime(2026, 3, 1, 8, 15, 30, tzinfo=datetime.timezone.utc)
    properties = {"text": "a&b", "number": 7, "flag": True, "fraction": 1.5, "moment": moment}
    correlation = CorrelationRuleFilter(label=name, session_id="s", properties=properties)
    client.create_rule(TOPIC, name, "by-label", filter=correlation)
    client.create_rule(TOPIC, name, "by-sql", filter=SqlRuleFilter("number > 3 AND sys.Label = 'x'"))
    client.create_rule(TOPIC, name, "nothing", filter=FalseRuleFilter())
    client.delete_rule(TOPIC, name, "$Default")
    read = client.get_rule(TOPIC, name, "by-label").filter
    equal((read.label, read.session_id, dict(read.properties)), (name, "s", properties))
    equal(sorted(rule.name for rule in client.list_rules(TOPIC, name)), ["by-label", "by-sql", "nothing"])
    equal(client.get_rule(TOPIC, name, "by-sql").filter.sql_expression, "number > 3 AND sys.Label = 'x'")
    rule = client.get_rule(TOPIC, name, "nothing")
    rule.filter = TrueRuleFilter()
    client.update_rule(TOPIC, name, rule)
    equal(type(client.get_rule(TOPIC, name, "nothing").filter), TrueRuleFilter)
    refused(ResourceExistsError, lambda: client.create_rule(TOPIC, name, "by-sql", filter=TrueRuleFilter()))
    refused(ResourceNotFoundError, lambda: client.delete_rule(TOPIC, name, "$Default"))
    refused(ResourceNotFoundError, lambda: client.get_rule(TOPIC, name, "$Default"))


@check
def long_lists_come_in_pages():
    client, topic = administration(), unique("topic")
    client.create_topic(topic)
    names = {f"job-{number:03}" for number in range(105)}
    for name in names:
        client.create_subscription(topic, name)
    equal({one.name for one in client.list_subscriptions(topic)}, names)
    client.delete_topic(topic)


@check
def the_topic_is_described():
    client = administration()
    topic = client.get_topic(TOPIC)
    equal((topic.name, topic.enable_partitioning), (TOPIC, True))
    assert TOPIC in [one.name for one in client.list_topics()]
    refused(ResourceNotFoundError, lambda: client.get_topic(unique("topic")))
    equal(client.get_namespace_properties().messaging_sku, "Standard")


@check
def a_key_that_may_only_receive_cannot_manage():
    error = refused(ClientAuthenticationError, lambda: administration(BUS["listen_only"]).create_subscription(TOPIC, "x"))
    equal(error.status_code, 401)


@check
def a_wrong_key_is_refused():
    wrong = BUS["connection"].rsplit("SharedAccessKey=", 1)[0] + "SharedAccessKey=d3Jvbmc="
    refused(ClientAuthenticationError, lambda: administration(wrong).get_topic(TOPIC), "InvalidSignature")


@check
def an_identity_manages():
    name = unique("job")
    with_identity().create_subscription(TOPIC, name)
    with_identity().delete_subscription(TOPIC, name)


@check
def an_identity_without_the_right_cannot_manage():
    own = application(rights={"manage": False})
    client = with_identity(own["client"], own["secret"])
    refused(ClientAuthenticationError, lambda: client.create_subscription(TOPIC, unique("job")))


@check
def management_that_is_busy_is_asked_again():
    name = unique("job")
    with Fault("atom", status=429, retry_after=0, times=2, contains=name):
        administration().create_subscription(TOPIC, name)
