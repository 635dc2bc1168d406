// An endpoint for deliveries, and what the tests of the dashboard schedule to it.

import { createServer } from "node:http";
import { once } from "node:events";

/** Text that would run if anybody took it for HTML. */
export const CANARY = `<img src=x onerror="document.title='taken over'"><b>bold</b>`;

/** Accepts everything at /ok, and refuses everything else for good, with the canary. */
export async function startEndpoint() {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(request.url === "/ok" ? 200 : 410, { "content-type": "text/html" });
    response.end(request.url === "/ok" ? "received" : CANARY);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

/** A client of the API, which prepares what the dashboard shows. */
export async function logIn(origin, client, key) {
  const form = {
    grant_type: "client_credentials",
    client_id: client,
    client_secret: key,
    scope: "conversations:read conversations:write operator",
  };
  const answer = await fetch(`${origin}/oauth/token`, { method: "POST", body: new URLSearchParams(form) });
  const token = (await answer.json()).access_token;
  return async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(origin + path, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return response.json();
  };
}

/** Schedules these conversations, which take the other fields from the first argument. */
export async function scheduleAll(call, common, conversations) {
  const body = { conversations: conversations.map((it) => ({ ...common, ...it })) };
  const { results } = await call("POST", "/api/scheduler/batch", body);
  return results.map(({ conversationId, problem }) => {
    if (problem) throw new Error(JSON.stringify(problem));
    return conversationId;
  });
}

/** Waits until a list of conversations is as a condition says, and returns it. */
export async function listed(call, query, isSo) {
  for (const deadline = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { conversations } = await call("GET", `/api/scheduler?limit=100&${query}`);
    if (isSo(conversations)) return conversations;
    if (Date.now() > deadline) throw new Error(`${query} is ${JSON.stringify(conversations)}`);
  }
}
