// An agent behind NAT: it needs no address, because it receives its conversations itself. npm install --save-dev tsx
// SCHEDULER_URL=http://127.0.0.1:8000 CLIENT_ID=… API_KEY=… npx tsx inbox-agent.ts
import { setTimeout as sleep } from "node:timers/promises";

type Received = { conversationId: string; deliveryId: string; conversationText: string; receipt: string };

const { SCHEDULER_URL: url, CLIENT_ID: clientId, API_KEY: apiKey, WAITS } = process.env;
const token = { value: "", until: 0 };
// What was done and not acknowledged is received again. In production, keep this beside the work.
const done = new Set<string>();

async function post<T>(path: string, body: object, bearer?: string): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  const response = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return (await response.json()) as T;
}

async function call<T>(path: string, body: object): Promise<T> {
  if (Date.now() > token.until) {
    const answer = await post<{ token: string; expiresIn: number }>("/api/auth/token", { clientId, apiKey });
    Object.assign(token, { value: answer.token, until: Date.now() + (answer.expiresIn - 60) * 1000 });
  }
  return post<T>(path, body, token.value);
}

/** What the agent does. It must end before the lease. */
async function work({ conversationText }: Received): Promise<void> {
  console.log(conversationText);
}

async function handle(conversation: Received): Promise<void> {
  let outcome = "done";
  try {
    if (!done.has(conversation.deliveryId)) await work(conversation);
    done.add(conversation.deliveryId);
  } catch (error) {
    console.error(error);
    outcome = "failed"; // another attempt follows
  }
  try {
    await call(`/api/inbox/${conversation.conversationId}/ack`, { receipt: conversation.receipt, outcome });
  } catch (error) {
    // 409: the lease has ended, and somebody else has it now.
    if ((error as { status?: number }).status !== 409) throw error;
  }
}

for (;;) {
  try {
    const wanted = { leaseSeconds: 60, waitSeconds: 20 };
    const { conversations } = await call<{ conversations: Received[] }>("/api/inbox/receive", wanted);
    for (const conversation of conversations) await handle(conversation);
    if (WAITS === "no") await sleep(5_000); // on Azure Functions a call does not wait
  } catch (error) {
    // The service is away for a moment: what is not acknowledged is received again.
    console.error(error);
    await sleep(5_000);
  }
}
