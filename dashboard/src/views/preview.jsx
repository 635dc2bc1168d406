// The next instants that the time in a form means, as the service reads it.

import { useEffect, useState } from "preact/hooks";
import { preview } from "../api.js";
import { Time } from "../parts.jsx";

const COUNT = 5;
/** The pause in typing after which the service is asked. */
const PAUSE = 250;

/** `zone` is the time zone of the form, if it is not that of this machine. */
export function Preview({ when, zone }) {
  const [state, change] = useState({});
  const key = JSON.stringify(when || null);
  useEffect(() => {
    if (!when) return change({});
    const abort = new AbortController();
    const ask = async () => {
      try {
        change({ found: await preview({ ...when, count: COUNT }, abort.signal) });
      } catch (error) {
        if (!abort.signal.aborted) change({ error });
      }
    };
    const timer = setTimeout(ask, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key]);
  return (
    <section class="preview" aria-label="Preview" aria-live="polite">
      <h2>{state.found?.instants.length > 1 ? "The next instants" : "The instant"}</h2>
      {!state.found && !state.error && <p class="soft">It appears here as soon as you say when.</p>}
      {state.error && <p class="error">{sentence(state.error)}</p>}
      {state.found && (
        <ol>
          {state.found.instants.map((instant, index) => (
            <li key={instant}>
              <Time time={instant} />
              {zone && <p class="soft">{wallTime(state.found.localTimes[index], zone)}</p>}
            </li>
          ))}
        </ol>
      )}
      {state.found?.notes.map((note) => (
        <p class="note" key={note}>
          {note}
        </p>
      ))}
    </section>
  );
}

/** A time such as 2030-06-01T14:00:00.000+02:00[Europe/Berlin] as the clocks in its zone show it. */
const wallTime = (local, zone) => local && `${local.slice(0, 10)} ${local.slice(11, 16)} in ${zone}`;

/** What is wrong with the time, without the names of fields that the form does not show. */
function sentence({ message, errors }) {
  return errors.length > 0 ? errors.map(({ detail }) => `It ${detail}.`).join(" ") : message;
}
