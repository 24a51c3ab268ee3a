// Subscriptions of their own for checks. This client's management speaks https to port 443 alone, so the API is called as it is.

import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";

import { ServiceBusClient } from "@azure/service-bus";

import { eventually } from "./harness.mjs";

export const SANDBOX = JSON.parse(readFileSync(process.env.SBM_TEST_SANDBOX, "utf8"));
const BUS = SANDBOX.service_bus;
export const TOPIC = BUS.topic;
const CERTIFICATE = readFileSync(SANDBOX.certificate);

/** A name that no other check uses. */
export const unique = (prefix) => `${prefix}-${randomUUID().slice(0, 13)}`;

/** A client that never tries again by itself. */
export const client = (connection = BUS.emulator) =>
  new ServiceBusClient(connection, { retryOptions: { maxRetries: 0, timeoutInMs: 60_000 } });

/** Makes a subscription that gets messages with its own name as subject, and no others. */
export async function subscribe(settings = "") {
  const name = unique("job");
  const rule =
    `<DefaultRuleDescription><Filter i:type="CorrelationFilter"><Label>${name}</Label></Filter>` +
    `<Name>${name}</Name></DefaultRuleDescription>`;
  const body =
    `<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml"><SubscriptionDescription ` +
    `xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" ` +
    `xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><LockDuration>PT5M</LockDuration>${settings}${rule}` +
    `</SubscriptionDescription></content></entry>`;
  const { status, text } = await manage("PUT", `${TOPIC}/subscriptions/${name}`, body);
  if (status !== 201) throw new Error(`${status}: ${text}`);
  return name;
}

/** A signed request to the management of the namespace. */
export function manage(method, path, body) {
  const url = new URL(`https://${BUS.namespace}/${path}?api-version=2021-05`);
  const headers = { authorization: signature(url.origin), "content-type": "application/atom+xml" };
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, ca: CERTIFICATE }, (answer) => {
      let text = "";
      answer.on("data", (piece) => (text += piece)).on("end", () => resolve({ status: answer.statusCode, text }));
    });
    call.on("error", reject).end(body);
  });
}

function signature(resource) {
  const field = (name) => BUS.connection.match(new RegExp(`${name}=([^;]*)`))[1];
  const [encoded, expiry] = [encodeURIComponent(resource), Math.floor(Date.now() / 1000) + 3600];
  const made = createHmac("sha256", field("SharedAccessKey")).update(`${encoded}\n${expiry}`).digest("base64");
  return `SharedAccessSignature sr=${encoded}&sig=${encodeURIComponent(made)}&se=${expiry}&skn=${field("SharedAccessKeyName")}`;
}

/** Exactly so many messages, however they arrive. */
export async function receive(receiver, number) {
  const messages = [];
  await eventually(async () => {
    messages.push(...(await receiver.receiveMessages(number - messages.length, { maxWaitTimeInMs: 5000 })));
    return messages.length >= number;
  }, `${number} messages`);
  return messages;
}

/** Lets Service Bus and Event Hubs misbehave. */
export async function disturb(what) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${SANDBOX.faults}/broker`, { method: "POST", headers, body: JSON.stringify(what) });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
}
