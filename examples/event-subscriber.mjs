// A program that subscribes to the events of the scheduler over the Model Context Protocol.
//
//     npm install @ai-sdk/mcp
//     SCHEDULER_URL=http://127.0.0.1:8000 CLIENT_ID=... API_KEY=... node event-subscriber.mjs
//
// The service has to reach the receiver. Here both are on one machine.

import { createServer } from "node:http";
import { createMCPClient, experimental_createMCPEventWebhook } from "@ai-sdk/mcp";

const { SCHEDULER_URL, CLIENT_ID, API_KEY } = process.env;

// The subscriptions of this program, with their secrets. Keep them where a restart finds them.
const subscriptions = new Map();
const store = {
  get: async (key) => subscriptions.get(key),
  getById: async (id) => [...subscriptions.values()].find((subscription) => subscription.id === id),
  set: async (subscription) => { subscriptions.set(subscription.key, subscription); },
  update: async (key, change) => { subscriptions.set(key, { ...subscriptions.get(key), ...change }); },
  delete: async (key) => { subscriptions.delete(key); },
};

const waiting = [], events = [];
const handle = experimental_createMCPEventWebhook({
  store,
  onEvent: ({ event }) => { waiting.length > 0 ? waiting.shift()(event) : events.push(event); },
  onError: (error) => console.error(error),
});
const nextEvent = () => events.length > 0 ? events.shift() : new Promise((resolve) => waiting.push(resolve));

// The handler returns the challenge, and checks the signature of each event.
const receiver = createServer(async (request, response) => {
  if (!request.url.startsWith("/events")) return response.writeHead(404).end();
  const chunks = await request.toArray();
  const { method, headers } = request;
  const answer = await handle(new Request(new URL(request.url, url), { method, headers, body: Buffer.concat(chunks) }));
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
});
await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${receiver.address().port}/events`;

const login = await fetch(`${SCHEDULER_URL}/api/auth/token`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ clientId: CLIENT_ID, apiKey: API_KEY }),
});
const { token } = await login.json();
const client = await createMCPClient({
  transport: { type: "http", url: `${SCHEDULER_URL}/mcp`, headers: { Authorization: `Bearer ${token}` } },
  experimental_events: { store },
});
const offered = await client.experimental_events.list();
console.log("events", ...offered.events.map((event) => event.name));

const delivery = { mode: "webhook", url, allowInsecureLocalhost: true };
const due = await client.experimental_events.subscribe({ name: "conversation.due", delivery });
await client.experimental_events.subscribe({ name: "conversation.failed", delivery });

const { scheduleConversation } = await client.tools();
const schedule = (conversation) => scheduleConversation.execute(conversation, { toolCallId: "1", messages: [] });
await schedule({ conversationText: "Water the plants.", delay: "1s", deliver: "events" });
const arrived = await nextEvent();
console.log(arrived.name, arrived.data.conversationText);

// There is no endpoint at this path.
await schedule({ conversationText: "Hello", delay: "0s", endpoint: new URL("/nothing", url).href });
const failed = await nextEvent();
console.log(failed.name, failed.data.lastError);

const before = due.refreshBefore;
const renewed = await client.experimental_events.refresh({ id: due.id });
console.log("renewed", renewed.id === due.id && renewed.refreshBefore > before);
for (const { id } of [...subscriptions.values()]) await client.experimental_events.unsubscribe({ id });
console.log("unsubscribed");
await client.close();
receiver.close();
