// Calls of the API with the token of the login.

import { notice } from "./clock.js";
import { current, expire } from "./session.js";

/** An answer that is not a success, or none. */
export class ApiError extends Error {
  constructor(message, status = 0, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** Calls an operation and returns its answer. */
export async function call(method, path, { query, body, headers, signal } = {}) {
  const url = query ? `${path}?${parameters(query)}` : path;
  const sent = { authorization: `Bearer ${current()?.token}`, ...headers };
  if (body) sent["content-type"] ??= "application/json";
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: sent,
      body: body && JSON.stringify(body),
      credentials: "omit",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The service does not answer. Check your connection.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    if (answer.serverTime) notice(answer.serverTime);
    return { ...answer, etag: response.headers.get("etag") };
  }
  if (response.status === 401) expire();
  const detail = answer.detail ?? `The service answered with the status ${response.status}.`;
  throw new ApiError(detail, response.status, answer.errors ?? []);
}

/** The query of these parameters, without those that are empty. */
export function parameters(query) {
  return new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
}

const BASE = "api/scheduler";
const at = (id) => `${BASE}/${encodeURIComponent(id)}`;

export const list = (query, signal) => call("GET", BASE, { query, signal });
export const get = (id, client, signal) =>
  call("GET", `${BASE}/status/${encodeURIComponent(id)}`, { query: { client }, signal });
export const preview = (body, signal) => call("POST", `${BASE}/preview`, { body, signal });
export const schedule = (body) => call("POST", `${BASE}/schedule`, { body });
export const cancel = (id) => call("DELETE", at(id));
export const redeliver = (id) => call("POST", `${at(id)}/redeliver`);
export const run = (id) => call("POST", `${at(id)}/run`);
export const clients = (query, signal) => call("GET", "api/clients", { query, signal });

/** Changes a conversation, if it still is as it was shown. */
export const update = (id, body, etag) => {
  const headers = { "content-type": "application/merge-patch+json", ...(etag && { "if-match": etag }) };
  return call("PATCH", at(id), { body, headers });
};

/** Redelivers everything that a filter matches, page by page. Reports the number after each. */
export async function redeliverAll(filter, report) {
  const total = { redelivered: 0, skipped: 0 };
  let cursor;
  do {
    const page = await call("POST", `${BASE}/redeliver`, { body: { filter, limit: 100, ...(cursor && { cursor }) } });
    total.redelivered += page.redelivered;
    total.skipped += page.skipped;
    report(total);
    cursor = page.cursor;
  } while (cursor);
  return total;
}
