/** A scheduler for tests: `mcp-scheduler dev`, whose clock a test turns. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** What a turn of the clock came to. */
export interface Turned {
  /** The time on the clock. */
  now: Date;
  attempts: Attempts;
  /** The number of conversations that wait for a later time. */
  pending: number;
}

/** The number of attempts with each outcome. */
export interface Attempts {
  success: number;
  failure: number;
  permanentFailure: number;
  unknown: number;
}

/** A delivery that has arrived in the inbox of the scheduler. */
export interface Arrival {
  text: string;
  receivedAt: Date;
  scheduledTime: Date;
  latenessMs: number;
  attempt: number;
  conversationId: string;
  clientId: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** The fields of the API beside the text, such as `delay`, `scheduledTime` or `recurrence`. */
export type Fields = Record<string, unknown> & { endpoint?: string };

/** The scheduler has refused a request, has not started, or cannot turn its clock to the end. */
export class SchedulerError extends Error {
  override name = "SchedulerError";
}

interface Started {
  url: string;
  clientId: string;
  apiKey: string;
  signingSecret: string;
}

interface TurnAnswer {
  now: string;
  attempts: Attempts;
  pending: number;
  rest?: string;
  stoppedBy?: "time" | "loop";
}

type ArrivalAnswer = Omit<Arrival, "receivedAt" | "scheduledTime"> & { receivedAt: string; scheduledTime: string };

/** Starts a scheduler on a free port. Without a binary it is that of MCP_SCHEDULER, or else of PATH. */
export async function startScheduler(binary?: string): Promise<Scheduler> {
  const program = binary ?? (process.env.MCP_SCHEDULER || "mcp-scheduler");
  // When this process ends, its end of the pipe closes, and the scheduler ends.
  const child = spawn(program, ["dev", "--port", "0", "--json", "--until-stdin-closes"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const failed = once(child, "error").then(([error]) => {
    throw new SchedulerError(`cannot start ${program}: ${error.message}; set MCP_SCHEDULER to its path`);
  });
  const lines = createInterface(child.stdout);
  const line = once(lines, "line").then(([text]) => text as string);
  const first = await Promise.race([line, failed, ended.then(() => undefined)]);
  failed.catch(() => {});
  if (first === undefined) throw new SchedulerError(`${program} has ended; the lines above say why`);
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return new Scheduler(JSON.parse(first) as Started, stop);
}

/** A running scheduler. It ends with `stop`, or with this process. */
export class Scheduler {
  /** The address of the scheduler. */
  readonly url: string;
  /** The id of its client. */
  readonly client: string;
  /** The API key of the client. */
  readonly apiKey: string;
  /** What a receiver verifies deliveries with, by Standard Webhooks. */
  readonly signingSecret: string;
  /** Ends the scheduler. */
  readonly stop: () => Promise<void>;

  constructor(started: Started, stop: () => Promise<void>) {
    this.url = started.url;
    this.client = started.clientId;
    this.apiKey = started.apiKey;
    this.signingSecret = started.signingSecret;
    this.stop = stop;
  }

  /** An endpoint that keeps what it receives. Every name below it, such as /slack, does, too. */
  get inbox(): string {
    return `${this.url}/dev/inbox`;
  }

  /** The time on the clock. */
  async now(): Promise<Date> {
    const { now } = await this.call<{ now: string }>("GET", "/dev/clock");
    return new Date(now);
  }

  /** Schedules a text, by default to the inbox. Returns the id of the conversation. */
  async schedule(text: string, fields: Fields): Promise<string> {
    const conversation = { conversationText: text, endpoint: this.inbox, ...fields };
    const answer = await this.call<{ conversationId: string }>("POST", "/api/scheduler/schedule", conversation);
    return answer.conversationId;
  }

  /** Everything that the scheduler knows of a conversation. */
  async status(conversationId: string): Promise<Record<string, unknown>> {
    return this.call("GET", `/api/scheduler/status/${conversationId}`);
  }

  /** Turns the clock forward, such as by "P4D" or "90m". It returns when everything until then was delivered. */
  async advance(duration: string): Promise<Turned> {
    const attempts: Attempts = { success: 0, failure: 0, permanentFailure: 0, unknown: 0 };
    for (let advance = duration; ; ) {
      const turned = await this.call<TurnAnswer>("POST", "/dev/clock", { advance });
      for (const outcome of Object.keys(attempts) as (keyof Attempts)[]) attempts[outcome] += turned.attempts[outcome];
      if (turned.stoppedBy === "loop") {
        throw new SchedulerError(
          `the clock stands still at ${turned.now}, with ${turned.rest} left to turn: each delivery has led to another one ` +
            "for the same instant, a thousand times in a row; schedule it for a later time",
        );
      }
      // There is a limit on the time of one turn.
      if (!turned.rest) return { now: new Date(turned.now), attempts, pending: turned.pending };
      advance = turned.rest;
    }
  }

  /** What has arrived in the inbox, the first delivery first. The last thousand are kept. */
  async arrivals(): Promise<Arrival[]> {
    const { arrivals } = await this.call<{ arrivals: ArrivalAnswer[] }>("GET", "/dev/inbox");
    return arrivals.map((arrival) => ({
      ...arrival,
      receivedAt: new Date(arrival.receivedAt),
      scheduledTime: new Date(arrival.scheduledTime),
    }));
  }

  /** Empties the inbox. */
  async clear(): Promise<void> {
    await this.call("DELETE", "/dev/inbox");
  }

  /** Calls the API as the client, and returns the JSON of the answer. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${this.apiKey}`, "content-type": "application/json" };
    const response = await fetch(this.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = text ? JSON.parse(text) : null;
    if (!response.ok) throw new SchedulerError([answer.detail, answer.hint].filter(Boolean).join(" "));
    return answer as T;
  }
}
