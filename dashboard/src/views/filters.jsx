// The filter of the list, and the redelivery of everything that it matches.

import { redeliverAll } from "../api.js";
import { now } from "../clock.js";
import { Action } from "../dialog.jsx";
import { count, inputTime, statusName } from "../format.js";
import { Field } from "../parts.jsx";
import { go } from "../router.js";

const STATUSES = ["Scheduled", "InProgress", "Completed", "Failed", "Cancelled"];
const TEXTS = ["status", "label", "endpointHost"];
const TIMES = ["from", "to"];

export function Filters({ query }) {
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const texts = TEXTS.map((name) => [name, form.get(name).trim()]);
    // Without a status the list is in the order of creation, where these times mean nothing.
    const times = form.get("status") ? TIMES.map((name) => [name, instant(form.get(name))]) : [];
    go(["conversations"], { client: query.client, ...Object.fromEntries([...texts, ...times]) });
  };
  return (
    <form class="card filters" role="search" aria-label="Filter" onSubmit={submit}>
      <Field label="Status">
        <select name="status" defaultValue={query.status ?? ""}>
          <option value="">Any</option>
          {STATUSES.map((status) => (
            <option key={status} value={status} selected={status === query.status}>
              {statusName(status)}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Label">
        <input name="label" placeholder="team:ops" defaultValue={query.label} />
      </Field>
      <Field label="Host">
        <input name="endpointHost" placeholder="example.com" defaultValue={query.endpointHost} />
      </Field>
      <Field label={isOver(query.status) ? "Ended from" : "Due from"}>
        <input name="from" type="datetime-local" defaultValue={query.from && inputTime(query.from)} />
      </Field>
      <Field label="Before">
        <input name="to" type="datetime-local" defaultValue={query.to && inputTime(query.to)} />
      </Field>
      <button class="primary">Apply</button>
      {!query.status && <p class="soft">Times need a status.</p>}
    </form>
  );
}

const isOver = (status) => ["Completed", "Failed", "Cancelled"].includes(status);
const instant = (local) => local && new Date(local).toISOString();

/** Redelivers what the filter matches, on all pages. */
export function RedeliverAll({ query, done }) {
  const { label, endpointHost, from } = query;
  const act = async (_, report) => {
    // What fails again while this runs is not redelivered once more.
    const to = query.to ?? new Date(now()).toISOString();
    const filter = JSON.parse(JSON.stringify({ status: "Failed", label, endpointHost, from, to }));
    await redeliverAll(filter, ({ redelivered, skipped }) =>
      report(`${count(redelivered, "conversation")} redelivered, ${skipped} skipped…`),
    );
  };
  const parts = [label && `the label ${label}`, endpointHost && `the host ${endpointHost}`].filter(Boolean);
  return (
    <p>
      <Action
        label="Redeliver all that match…"
        title="Redeliver all that match?"
        confirm="Redeliver all"
        act={act}
        done={done}
      >
        <p>
          Every Failed conversation {parts.length > 0 && `with ${parts.join(" and ")} `}is sent again, on all pages of
          this list, with a new set of attempts.
        </p>
      </Action>
    </p>
  );
}
