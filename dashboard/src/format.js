// Times, durations and words as people read them.

import { now } from "./clock.js";

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** The name of the time zone of this machine. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A time as "27 Nov 2026, 23:05:11", in the time zone of this machine. */
export const fullTime = (time) => FULL.format(new Date(time));

/** A time for a place with little room, as exact as a span of this many milliseconds needs. */
export function shortTime(time, span) {
  if (span > 86_400_000) return DAY.format(new Date(time));
  return (span > 600_000 ? MINUTE : SECOND).format(new Date(time));
}

/** A time as "in 5 minutes" or "2 days ago". */
export function relativeTime(time) {
  const seconds = (Date.parse(time) - now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

/** A duration as "3 ms", "1.2 s" or "2 h 5 min". */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.floor(hours / 24)} days`;
}

/** A number with its noun: "1 conversation", "2 conversations". */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** A time for an input of the type datetime-local, which has no time zone. */
export function inputTime(time) {
  const date = new Date(time);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Where a conversation goes: its endpoint without the scheme and the query, which say little and can be long. */
export function shortReceiver({ endpoint, deliver }) {
  try {
    const { host, pathname } = new URL(endpoint);
    return host + (pathname === "/" ? "" : pathname);
  } catch {
    return endpoint ?? deliver;
  }
}

/** What a list calls a conversation. */
export const nameOf = (it) => it.name ?? it.textExcerpt ?? shortReceiver(it);

/** Where a conversation goes, with all that is shown of it. */
export const receiver = ({ method, endpoint, deliver }) => (endpoint ? `${method} ${endpoint}` : deliver);

/** The status as people read it. */
export const statusName = (status) => (status === "InProgress" ? "In progress" : status);

/** In which weeks or days something recurs, if not in all. */
export const period = ({ everyWeeks, everyDays }) =>
  (everyWeeks && `every ${everyWeeks} weeks`) || (everyDays && `every ${everyDays} days`);
