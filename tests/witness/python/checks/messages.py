"""Messages from sending to settling, by azure-servicebus."""

import datetime
import uuid

from azure.servicebus import AutoLockRenewer, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageLockLostError, MessagingEntityNotFoundError
from azure.servicebus.management import SqlRuleFilter

from bus import SHORT, TOPIC, administration, client, counts, receive, subscribe
from harness import check, equal, eventually, refused
from sandbox import disturb, unique


def send(bus, name, *bodies, **properties):
    """Sends messages for a subscription."""
    with bus.get_topic_sender(TOPIC) as sender:
        for body in bodies:
            sender.send_messages(ServiceBusMessage(body, subject=name, **properties))


@check
def a_message_arrives_as_it_was_sent():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        identity = str(uuid.uuid4())
        send(
            bus,
            name,
            "body",
            message_id=identity,
            session_id="server",
            correlation_id="run",
            content_type="application/json",
            to="somebody",
            reply_to="me",
            application_properties={"number": 7, "text": "ä", "flag": True},
        )
        [message] = receive(receiver, 1)
        equal(str(message), "body")
        equal((message.message_id, message.session_id, message.subject), (identity, "server", name))
        equal((message.correlation_id, message.content_type), ("run", "application/json"))
        equal((message.to, message.reply_to), ("somebody", "me"))
        equal(message.application_properties, {b"number": 7, b"text": "ä".encode(), b"flag": True})
        # Trap 10: the first delivery counts as none, and the number is there.
        equal(message.delivery_count, 0)
        assert message.sequence_number > 0 and message.enqueued_time_utc
        receiver.complete_message(message)
    eventually(lambda: counts(name) == (0, 0), "the message is gone")


@check
def a_large_message_takes_many_frames():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, b"x" * 200_000)
        [message] = receive(receiver, 1)
        equal(len(b"".join(message.body)), 200_000)
        receiver.complete_message(message)


@check
def a_batch_arrives_whole():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        with bus.get_topic_sender(TOPIC) as sender:
            batch = sender.create_message_batch()
            for number in range(50):
                batch.add_message(ServiceBusMessage(str(number), subject=name, session_id="server"))
            sender.send_messages(batch)
        messages = receive(receiver, 50)
        equal([str(message) for message in messages], [str(number) for number in range(50)])
        for message in messages:
            receiver.complete_message(message)


@check
def what_is_completed_is_gone_and_what_is_abandoned_comes_again():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one", "two")
        one, two = receive(receiver, 2)
        receiver.complete_message(one)
        receiver.abandon_message(two)
        [again] = receive(receiver, 1)
        equal((str(again), again.delivery_count), ("two", 1))
        receiver.complete_message(again)
        equal(receiver.peek_messages(5), [])


@check
def a_dead_letter_has_its_reason():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one")
        [message] = receive(receiver, 1)
        receiver.dead_letter_message(message, reason="NotOurs", error_description="it is for another job")
        equal(counts(name), (0, 1))
        with bus.get_subscription_receiver(TOPIC, name, sub_queue="deadletter") as dead:
            [message] = receive(dead, 1)
            equal(message.dead_letter_reason, "NotOurs")
            equal(message.dead_letter_error_description, "it is for another job")
            dead.complete_message(message)
    equal(counts(name), (0, 0))


@check
def a_deferred_message_is_fetched_by_its_number():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one")
        [message] = receive(receiver, 1)
        receiver.defer_message(message)
        [again] = receiver.receive_deferred_messages(message.sequence_number)
        equal(str(again), "one")
        receiver.complete_message(again)


@check
def peeking_takes_nothing():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one", "two")
        equal([str(message) for message in receiver.peek_messages(5)], ["one", "two"])
        equal([str(message) for message in receiver.peek_messages(5)], [])
        equal([str(message) for message in receiver.peek_messages(5, sequence_number=1)], ["one", "two"])
        equal(counts(name), (2, 0))


@check
def receive_and_delete_settles_by_itself():
    name = subscribe()
    with client() as bus:
        send(bus, name, "one", "two")
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with bus.get_subscription_receiver(TOPIC, name, receive_mode=mode) as receiver:
            equal([str(message) for message in receive(receiver, 2)], ["one", "two"])
    eventually(lambda: counts(name) == (0, 0), "both are gone")


@check
def a_message_for_later_comes_later_or_not_at_all():
    name = subscribe()
    now = datetime.datetime.now(datetime.timezone.utc)
    with client() as bus, bus.get_topic_sender(TOPIC) as sender:
        soon = [ServiceBusMessage("soon", subject=name), now + datetime.timedelta(seconds=2)]
        later = [ServiceBusMessage("later", subject=name), now + datetime.timedelta(hours=1)]
        sender.schedule_messages(*soon)
        sender.cancel_scheduled_messages(sender.schedule_messages(*later))
        with bus.get_subscription_receiver(TOPIC, name) as receiver:
            [message] = receive(receiver, 1)
            equal(str(message), "soon")
            assert message.enqueued_time_utc >= soon[1], "it has come too soon"
            receiver.complete_message(message)


@check
def a_renewed_lock_ends_later():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one")
        [message] = receive(receiver, 1)
        before = message.locked_until_utc
        # Trap 1: the lock token is a UUID here, and was sixteen bytes in another order before.
        after = receiver.renew_message_lock(message)
        assert after > before, f"{after} is not after {before}"
        receiver.complete_message(message)


@check
def a_lock_is_kept_by_a_renewer():
    name = subscribe(lock=datetime.timedelta(seconds=20))
    with AutoLockRenewer() as renewer, client() as bus:
        with bus.get_subscription_receiver(TOPIC, name, auto_lock_renewer=renewer) as receiver:
            send(bus, name, "one")
            [message] = receive(receiver, 1)
            before = message.locked_until_utc
            eventually(lambda: message.locked_until_utc > before, "the lock is renewed")
            receiver.complete_message(message)


@check
def a_lost_lock_is_lost_for_all_and_the_message_comes_again():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one", "two")
        first, second = receive(receiver, 2)
        disturb(lose_locks={"topic": TOPIC, "subscription": name})
        refused(MessageLockLostError, lambda: receiver.complete_message(first))
        refused(MessageLockLostError, lambda: receiver.renew_message_lock(second))
        again = receive(receiver, 2)
        equal([(str(message), message.delivery_count) for message in again], [("one", 1), ("two", 1)])
        for message in again:
            receiver.complete_message(message)


@check
def a_lock_ends_with_its_time():
    name = subscribe(lock=SHORT)
    with client() as bus, client() as other:
        receiver = bus.get_subscription_receiver(TOPIC, name)
        send(bus, name, "one")
        receive(receiver, 1)
        with other.get_subscription_receiver(TOPIC, name) as second:
            [again] = receive(second, 1)
            assert again.delivery_count >= 1
        receiver.close()


@check
def after_too_many_deliveries_a_message_is_dead():
    name = subscribe(max_delivery_count=2)
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one")
        for _ in range(2):
            [message] = receive(receiver, 1)
            receiver.abandon_message(message)
        with bus.get_subscription_receiver(TOPIC, name, sub_queue="deadletter") as dead:
            [message] = receive(dead, 1)
            equal(message.dead_letter_reason, "MaxDeliveryCountExceeded")
            dead.complete_message(message)


@check
def a_message_dies_when_its_time_is_over():
    name = subscribe(dead_lettering_on_message_expiration=True)
    with client() as bus:
        send(bus, name, "one", time_to_live=datetime.timedelta(milliseconds=500))
        with bus.get_subscription_receiver(TOPIC, name, sub_queue="deadletter") as dead:
            [message] = receive(dead, 1)
            equal(message.dead_letter_reason, "TTLExpiredException")
            dead.complete_message(message)


@check
def a_message_vanishes_when_its_time_is_over():
    name = subscribe()
    with client() as bus:
        send(bus, name, "one", time_to_live=datetime.timedelta(milliseconds=500))
        eventually(lambda: counts(name) == (0, 0), "it is gone")


@check
def rules_choose_messages():
    sql = subscribe(rule=SqlRuleFilter("number > 3 AND sys.Label LIKE 'job-sql-%'"))
    label = unique("job-sql")
    with client() as bus, bus.get_subscription_receiver(TOPIC, sql) as receiver:
        for number in (1, 4, 9):
            send(bus, label, str(number), application_properties={"number": number})
        messages = receive(receiver, 2)
        equal([str(message) for message in messages], ["4", "9"])
        for message in messages:
            receiver.complete_message(message)
        equal(receiver.peek_messages(5), [])


@check
def a_new_rule_takes_messages_from_then_on():
    name = subscribe()
    with client() as bus:
        send(bus, f"{name}-other", "before")
        administration().create_rule(TOPIC, name, "other", filter=SqlRuleFilter(f"sys.Label = '{name}-other'"))
        send(bus, f"{name}-other", "after")
        with bus.get_subscription_receiver(TOPIC, name) as receiver:
            equal([str(message) for message in receiver.peek_messages(5)], ["after"])


@check
def counts_include_what_is_locked():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        send(bus, name, "one", "two")
        [message] = receive(receiver, 1)
        equal(counts(name), (2, 0))
        receiver.complete_message(message)
        eventually(lambda: counts(name) == (1, 0), "one is left")


@check
def a_thousand_messages_are_received_once():
    name = subscribe()
    with client() as bus, bus.get_topic_sender(TOPIC) as sender:
        for start in range(0, 1000, 100):
            batch = [
                ServiceBusMessage(str(number), subject=name, session_id="one") for number in range(start, start + 100)
            ]
            sender.send_messages(batch)
        with bus.get_subscription_receiver(TOPIC, name, prefetch_count=100) as receiver:
            seen = []
            while len(seen) < 1000:
                for message in receive(receiver, 1) + receiver.receive_messages(100, max_wait_time=1):
                    seen.append(int(str(message)))
                    receiver.complete_message(message)
    equal(sorted(seen), list(range(1000)))
    eventually(lambda: counts(name) == (0, 0), "all are gone")


@check
def a_subscription_that_is_deleted_ends_its_receivers():
    name = subscribe()
    with client() as bus, bus.get_subscription_receiver(TOPIC, name) as receiver:
        receiver.peek_messages(1)
        administration().delete_subscription(TOPIC, name)
        refused(MessagingEntityNotFoundError, lambda: [receiver.receive_messages(1, max_wait_time=5) for _ in range(12)])
