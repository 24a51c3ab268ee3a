"""Sessions, by azure-servicebus."""

import threading

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import (
    MessageLockLostError,
    OperationTimeoutError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from bus import SHORT, TOPIC, client, counts, receive, subscribe
from harness import check, equal, eventually, refused
from sandbox import disturb


def send(bus, name, session, *bodies):
    """Sends messages of one session."""
    with bus.get_topic_sender(TOPIC) as sender:
        sender.send_messages([ServiceBusMessage(body, subject=name, session_id=session) for body in bodies])


def accept(bus, name, session=NEXT_AVAILABLE_SESSION, wait=60):
    """A receiver of one session, and no other."""
    return bus.get_subscription_receiver(TOPIC, name, session_id=session, max_wait_time=wait)


@check
def a_session_is_received_in_order_by_one_alone():
    name = subscribe(requires_session=True)
    with client() as bus:
        send(bus, name, "a", "a1", "a2")
        send(bus, name, "b", "b1")
        with accept(bus, name) as one, accept(bus, name) as two:
            first, second = receive(one, 2 if one.session.session_id == "a" else 1), None
            second = receive(two, 2 if two.session.session_id == "a" else 1)
            bodies = {tuple(str(message) for message in messages) for messages in (first, second)}
            equal(bodies, {("a1", "a2"), ("b1",)})
            refused(SessionCannotBeLockedError, lambda: receive(accept(bus, name, "a"), 1))
            for receiver, messages in ((one, first), (two, second)):
                for message in messages:
                    receiver.complete_message(message)
    eventually(lambda: counts(name) == (0, 0), "all are gone")


@check
def without_a_session_there_is_a_time_out():
    name = subscribe(requires_session=True)
    with client() as bus:
        refused(OperationTimeoutError, lambda: receive(accept(bus, name, wait=1), 1))


@check
def who_waits_for_a_session_gets_the_next_one():
    # Trap 7: the attach is answered when there is a session.
    name = subscribe(requires_session=True)
    got = []

    def wait():
        with client() as bus, accept(bus, name) as receiver:
            [message] = receive(receiver, 1)
            got.append(str(message))
            receiver.complete_message(message)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    with client() as bus:
        send(bus, name, "late", "one")
    waiter.join(240)
    equal(got, ["one"])


@check
def a_session_is_renewed_and_has_a_state():
    name = subscribe(requires_session=True)
    with client() as bus:
        send(bus, name, "a", "one")
        with accept(bus, name, "a") as receiver:
            before = receiver.session.locked_until_utc
            after = receiver.session.renew_lock()
            assert after > before, f"{after} is not after {before}"
            equal(receiver.session.get_state(), None)
            receiver.session.set_state(b"half")
            equal(receiver.session.get_state(), b"half")
        with accept(bus, name, "a") as receiver:
            equal(receiver.session.get_state(), b"half")
            receiver.session.set_state(None)
            equal(receiver.session.get_state(), None)


@check
def a_session_is_free_when_its_receiver_leaves():
    name = subscribe(requires_session=True)
    with client() as bus:
        send(bus, name, "a", "one")
        with accept(bus, name, "a") as receiver:
            receive(receiver, 1)
        with accept(bus, name, "a") as receiver:
            [message] = receive(receiver, 1)
            receiver.complete_message(message)


@check
def a_lost_session_settles_nothing():
    name = subscribe(requires_session=True)
    with client() as bus, client() as other:
        send(bus, name, "a", "one")
        receiver = accept(bus, name, "a")
        [message] = receive(receiver, 1)
        disturb(lose_locks={"topic": TOPIC, "subscription": name})
        # Which of the two depends on whether the link was gone before.
        refused((SessionLockLostError, MessageLockLostError), lambda: receiver.complete_message(message))
        refused(SessionLockLostError, lambda: receiver.session.renew_lock())
        with accept(other, name, "a") as second:
            [again] = receive(second, 1)
            second.complete_message(again)
        receiver.close()


@check
def a_session_ends_with_its_time():
    name = subscribe(requires_session=True, lock=SHORT)
    with client() as bus, client() as other:
        send(bus, name, "a", "one")
        receiver = accept(bus, name, "a")
        receive(receiver, 1)

        def taken():
            try:
                with accept(other, name, "a", wait=5) as second:
                    return receive(second, 1)
            except SessionCannotBeLockedError:
                return None

        eventually(taken, "another receiver gets the session")
        receiver.close()


@check
def many_sessions_are_held_at_once():
    name = subscribe(requires_session=True)
    with client() as bus:
        for number in range(10):
            send(bus, name, f"server-{number}", "one")
        receivers = [accept(bus, name) for _ in range(10)]
        held = set()
        for receiver in receivers:
            [message] = receive(receiver, 1)
            held.add(receiver.session.session_id)
            receiver.complete_message(message)
        equal(len(held), 10)
        for receiver in receivers:
            receiver.close()
