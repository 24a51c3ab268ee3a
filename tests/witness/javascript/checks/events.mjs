// Event Hubs, by @azure/event-hubs.

import assert from "node:assert/strict";

import { EventHubConsumerClient, EventHubProducerClient } from "@azure/event-hubs";

import { SANDBOX, unique } from "../bus.mjs";
import { check, eventually } from "../harness.mjs";

const HUB = SANDBOX.event_hubs.emulator;
// Others may have filled the hub before.
const START = new Date(Date.now() - 1);
const OPTIONS = { retryOptions: { maxRetries: 0, timeoutInMs: 60_000 } };

/** The bodies of all events with this tag, when there are so many. */
async function read(tag, number) {
  const consumer = new EventHubConsumerClient(EventHubConsumerClient.defaultConsumerGroupName, HUB);
  const bodies = [];
  const take = async (events) => {
    bodies.push(...events.filter((event) => event.properties?.tag === tag).map((event) => event.body));
  };
  const reading = consumer.subscribe(
    { processEvents: take, processError: async (error) => console.log(error) },
    { startPosition: { enqueuedOn: START } },
  );
  try {
    await eventually(() => bodies.length >= number, `${number} events`);
  } finally {
    await reading.close();
    await consumer.close();
  }
  return bodies.sort();
}

/** Runs with a producer, and closes it in any case. */
async function withProducer(run, connection = HUB) {
  const producer = new EventHubProducerClient(connection, OPTIONS);
  try {
    return await run(producer);
  } finally {
    await producer.close();
  }
}

check("events::the_hub_and_its_partitions_are_described", () =>
  withProducer(async (producer) => {
    const properties = await producer.getEventHubProperties();
    assert.equal(properties.name, SANDBOX.event_hubs.hub);
    const partition = await producer.getPartitionProperties(properties.partitionIds[0]);
    assert.equal(partition.partitionId, properties.partitionIds[0]);
  }),
);

check("events::a_batch_is_read_by_a_consumer", async () => {
  const tag = unique("tag");
  await withProducer(async (producer) => {
    const batch = await producer.createBatch({ partitionKey: "server" });
    for (const body of ["a", "b", "c"]) assert.ok(batch.tryAdd({ body, properties: { tag } }));
    await producer.sendBatch(batch);
  });
  assert.deepEqual(await read(tag, 3), ["a", "b", "c"]);
});

check("events::an_event_that_is_too_large_does_not_fit", () =>
  withProducer(async (producer) => {
    const batch = await producer.createBatch();
    assert.equal(batch.tryAdd({ body: "x".repeat(1_100_000) }), false);
  }),
);

check("events::an_unknown_hub_is_refused", () => {
  const elsewhere = HUB.replace(/EntityPath=.*/, `EntityPath=${unique("hub")}`);
  return withProducer((producer) => assert.rejects(producer.sendBatch([{ body: "x" }])), elsewhere);
});
