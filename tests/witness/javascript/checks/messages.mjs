// Messages and sessions, by @azure/service-bus.

import assert from "node:assert/strict";

import { SANDBOX, TOPIC, client, disturb, manage, receive, subscribe, unique } from "../bus.mjs";
import { check, refused } from "../harness.mjs";

const SESSIONS = "<RequiresSession>true</RequiresSession>";

/** Runs with a client, and closes it in any case. */
const withClient = (run, connection) => async () => {
  const bus = client(connection);
  try {
    await run(bus);
  } finally {
    await bus.close();
  }
};

const send = (bus, messages) => bus.createSender(TOPIC).sendMessages(messages);

check(
  "messages::a_message_without_an_id_is_received_and_settled",
  withClient(async (bus) => {
    // Traps 5 and 10: this client settles nothing without a message id, and tells the first delivery from the others.
    const name = await subscribe();
    await send(bus, { body: { hello: 1 }, subject: name, applicationProperties: { number: 7 } });
    const receiver = bus.createReceiver(TOPIC, name);
    const [message] = await receive(receiver, 1);
    assert.deepEqual(message.body, { hello: 1 });
    assert.equal(message.applicationProperties.number, 7);
    assert.equal(message.deliveryCount, 0);
    assert.ok(message.messageId);
    await receiver.completeMessage(message);
    assert.deepEqual(await receiver.peekMessages(1), []);
  }),
);

check(
  "messages::a_batch_arrives_whole",
  withClient(async (bus) => {
    const name = await subscribe();
    const sender = bus.createSender(TOPIC);
    const batch = await sender.createMessageBatch();
    for (let number = 0; number < 20; number++) {
      assert.ok(batch.tryAddMessage({ body: number, subject: name, sessionId: "one" }));
    }
    await sender.sendMessages(batch);
    const receiver = bus.createReceiver(TOPIC, name);
    const messages = await receive(receiver, 20);
    assert.deepEqual(messages.map((message) => message.body), [...Array(20).keys()]);
    for (const message of messages) await receiver.completeMessage(message);
  }),
);

check(
  "messages::a_lock_is_renewed_and_a_message_abandoned",
  withClient(async (bus) => {
    const name = await subscribe();
    await send(bus, { body: "one", subject: name });
    const receiver = bus.createReceiver(TOPIC, name);
    const [message] = await receive(receiver, 1);
    const before = message.lockedUntilUtc;
    assert.ok((await receiver.renewMessageLock(message)) > before);
    await receiver.abandonMessage(message);
    const [again] = await receive(receiver, 1);
    assert.equal(again.deliveryCount, 1);
    await receiver.completeMessage(again);
  }),
);

check(
  "messages::a_dead_letter_has_its_reason",
  withClient(async (bus) => {
    // Trap 4: this client sends the reason with strings as keys.
    const name = await subscribe();
    await send(bus, { body: "one", subject: name });
    const receiver = bus.createReceiver(TOPIC, name);
    const [message] = await receive(receiver, 1);
    await receiver.deadLetterMessage(message, { deadLetterReason: "x", deadLetterErrorDescription: "y" });
    const dead = bus.createReceiver(TOPIC, name, { subQueueType: "deadLetter" });
    const [letter] = await receive(dead, 1);
    assert.deepEqual([letter.deadLetterReason, letter.deadLetterErrorDescription], ["x", "y"]);
    await dead.completeMessage(letter);
  }),
);

check(
  "messages::a_lost_lock_settles_nothing",
  withClient(async (bus) => {
    const name = await subscribe();
    await send(bus, { body: "one", subject: name });
    const receiver = bus.createReceiver(TOPIC, name);
    const [message] = await receive(receiver, 1);
    await disturb({ lose_locks: { topic: TOPIC, subscription: name } });
    await refused("MessageLockLost", () => receiver.completeMessage(message));
    const [again] = await receive(receiver, 1);
    await receiver.completeMessage(again);
  }),
);

check(
  "sessions::a_session_is_received_renewed_and_has_a_state",
  withClient(async (bus) => {
    const name = await subscribe(SESSIONS);
    await send(bus, { body: "one", subject: name, sessionId: "server" });
    const session = await bus.acceptNextSession(TOPIC, name);
    assert.equal(session.sessionId, "server");
    const [message] = await receive(session, 1);
    const before = session.sessionLockedUntilUtc;
    assert.ok((await session.renewSessionLock()) > before);
    await session.setSessionState("half");
    assert.equal(await session.getSessionState(), "half");
    await refused("SessionCannotBeLocked", () => bus.acceptSession(TOPIC, name, "server"));
    await session.completeMessage(message);
    await session.close();
    const again = await bus.acceptSession(TOPIC, name, "server");
    await again.close();
  }),
);

check(
  "refusals::a_message_that_is_too_large",
  withClient(async (bus) => {
    await refused("MessageSizeExceeded", () => send(bus, { body: "x".repeat(300_000) }));
  }),
);

check(
  "refusals::sessions_that_are_mixed_in_a_batch_of_a_partitioned_topic",
  withClient(async (bus) => {
    const messages = ["a", "b"].map((sessionId) => ({ body: "one", sessionId }));
    // The service says `amqp:not-allowed`, for which this client has no code of its own.
    await assert.rejects(send(bus, messages), /distinct SessionId/);
  }),
);

check(
  "refusals::an_unknown_topic",
  withClient(async (bus) => {
    const sender = bus.createSender(unique("topic"));
    await refused("MessagingEntityNotFound", () => sender.sendMessages({ body: "one" }));
  }),
);

check(
  "refusals::sending_with_a_key_that_may_only_receive",
  withClient(async (bus) => {
    await refused("UnauthorizedAccess", () => send(bus, { body: "one" }));
  }, `${SANDBOX.service_bus.listen_only};UseDevelopmentEmulator=true`),
);

check("management::what_is_not_there_is_not_found", async () => {
  const { status, text } = await manage("GET", `${TOPIC}/subscriptions/${unique("job")}`);
  assert.equal(status, 404);
  assert.match(text, /<Code>404<\/Code>/);
});
