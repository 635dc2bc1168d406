// Schedules a conversation, for an endpoint or for the inbox. While the time is typed, the instants that it means appear beside it.

import { useState } from "preact/hooks";
import { schedule } from "../api.js";
import { ZONE } from "../format.js";
import { Failure, Field, Title } from "../parts.jsx";
import { go } from "../router.js";
import { Preview } from "./preview.jsx";

const WAYS = { time: "At a time", delay: "After a delay", cron: "Recurring" };
const RECEIVERS = { endpoint: "As an HTTP request", inbox: "In the inbox" };
const ZONES = Intl.supportedValuesOf?.("timeZone") ?? [ZONE];

/** The fields of a request that say when, from the fields of the form. */
function when({ way, time, delay, cron, zone }) {
  if (way === "delay") return delay && { delay };
  if (way === "cron") return cron && { recurrence: { cron, timeZone: zone } };
  return time && { scheduledTime: time, timeZone: zone };
}

function request(form) {
  const labels = Object.fromEntries(
    form.labels
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((label) => [label.split(":")[0], label.split(":").slice(1).join(":")]),
  );
  const others = Object.keys(labels).length > 0 ? { labels } : {};
  const receiver = form.receiver === "inbox" ? { deliver: "inbox" } : { endpoint: form.endpoint };
  return { conversationText: form.text, ...receiver, ...when(form), ...others };
}

export function Schedule() {
  const [form, change] = useState({
    way: "time",
    time: "",
    delay: "",
    cron: "",
    zone: ZONE,
    text: "",
    receiver: "endpoint",
    endpoint: "",
    labels: "",
  });
  const [state, setState] = useState({});
  const field = (name) => ({
    name,
    value: form[name],
    onInput: (event) => change({ ...form, [name]: event.currentTarget.value }),
  });
  const problem = (pointer) => state.error?.errors?.find((it) => it.pointer.startsWith(pointer))?.detail;
  const submit = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      const { conversationId } = await schedule(request(form));
      go(["conversations", conversationId]);
    } catch (error) {
      setState({ error });
    }
  };
  return (
    <>
      <Title text="Schedule a conversation" />
      <form class="columns" onSubmit={submit}>
        <div class="card">
          <Field label="Text" error={problem("/conversationText")}>
            <textarea rows="5" required {...field("text")} />
          </Field>
          <Choice legend="Delivery" name="receiver" options={RECEIVERS} form={form} change={change} />
          {form.receiver === "endpoint" && (
            <Field label="Endpoint" hint="It gets the text as an HTTP request." error={problem("/endpoint")}>
              <input type="url" required placeholder="https://example.com/hook" {...field("endpoint")} />
            </Field>
          )}
          {form.receiver === "inbox" && (
            <p class="soft">A program of this client receives it from there, such as an agent without an address.</p>
          )}
          <Field label="Labels" hint="Optional, such as team:ops env:test" error={problem("/labels")}>
            <input {...field("labels")} />
          </Field>
        </div>
        <div class="card">
          <Choice legend="When" name="way" options={WAYS} form={form} change={change} />
          <When form={form} field={field} problem={problem} />
          <Preview when={when(form)} zone={form.way !== "delay" && form.zone !== ZONE && form.zone} />
          <Failure error={state.error} />
          <button class="primary" disabled={state.busy}>
            Schedule
          </button>
        </div>
      </form>
    </>
  );
}

/** One of several options, by a field of the form. */
function Choice({ legend, name, options, form, change }) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      {Object.entries(options).map(([value, text]) => (
        <label class="check" key={value}>
          <input
            type="radio"
            name={name}
            value={value}
            checked={form[name] === value}
            onChange={() => change({ ...form, [name]: value })}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

function When({ form, field, problem }) {
  return (
    <>
      {form.way === "time" && (
        <Field label="Time" error={problem("/scheduledTime")}>
          <input type="datetime-local" required {...field("time")} />
        </Field>
      )}
      {form.way === "delay" && (
        <Field label="Delay" hint="Such as 90s, 5m, 2h or 7d" error={problem("/delay")}>
          <input required {...field("delay")} />
        </Field>
      )}
      {form.way === "cron" && (
        <Field label="Cron expression" hint="Such as 30 9 * * MON-FRI" error={problem("/recurrence")}>
          <input required {...field("cron")} />
        </Field>
      )}
      {form.way !== "delay" && (
        <Field label="Time zone" error={problem("/timeZone")}>
          <input list="zones" required {...field("zone")} />
        </Field>
      )}
      <datalist id="zones">
        {ZONES.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
    </>
  );
}
