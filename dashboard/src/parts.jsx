// Small parts that views share. Text from outside is always a child of an element, so it is shown as text and never read
// as HTML.

import { cloneElement } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { fullTime, relativeTime, statusName } from "./format.js";

/** The heading of a view. It takes the focus, so that a screen reader says where the link has led. */
export function Title({ children, text }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${text} · Scheduler`;
    heading.current.focus({ preventScroll: true });
  }, [text]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children ?? text}
    </h1>
  );
}

export function Status({ status, paused }) {
  const shown = paused ? "Paused" : status;
  return <span class={`status ${shown.toLowerCase()}`}>{statusName(shown)}</span>;
}

/** A time, with how far it is away. */
export function Time({ time, relative = true }) {
  return (
    <time dateTime={time} title={time}>
      {fullTime(time)}
      {relative && <span class="soft"> {relativeTime(time)}</span>}
    </time>
  );
}

/** A time as people speak of it; the exact one appears under the pointer. */
export const Ago = ({ time }) => (
  <time dateTime={time} title={fullTime(time)}>
    {relativeTime(time)}
  </time>
);

export function Empty({ title, children }) {
  return (
    <div class="empty">
      <p>
        <strong>{title}</strong>
      </p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** An error, with the fields that it names. */
export function Failure({ error, retry }) {
  if (!error) return null;
  return (
    <div class="failure" role="alert">
      <p>{error.message}</p>
      {error.errors?.length > 0 && (
        <ul>
          {error.errors.map(({ pointer, detail }) => (
            <li key={pointer}>
              <code>{pointer.slice(1)}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What stands in a view until its first answer is there. */
export const Loading = () => (
  <p class="soft" role="status">
    Loading…
  </p>
);

export function Labels({ labels }) {
  return Object.entries(labels ?? {}).map(([key, value]) => (
    <span class="label" key={key}>
      {key}:{value}
    </span>
  ));
}

/** A control of a form, with its name, its hint and its error. */
export function Field({ label, hint, error, children: control }) {
  const id = useId();
  const text = error ?? hint;
  const described = { "aria-describedby": text && id, "aria-invalid": error ? "true" : undefined };
  return (
    <div class={error ? "field wrong" : "field"}>
      <label>
        <span class="name">{label}</span>
        {cloneElement(control, described)}
      </label>
      {text && (
        <span id={id} class={error ? "error" : "soft"} role={error && "alert"}>
          {text}
        </span>
      )}
    </div>
  );
}
