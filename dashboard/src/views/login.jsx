// The login: a client id and its API key.

import { useEffect, useRef, useState } from "preact/hooks";
import { Logo } from "../logo.jsx";
import { Failure, Field } from "../parts.jsx";
import { hasEnded, logIn } from "../session.js";

export function LogIn() {
  const [state, change] = useState({});
  const first = useRef();
  useEffect(() => {
    document.title = "Log in · Scheduler";
    first.current.focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    change({ busy: true });
    try {
      await logIn(form.get("client").trim(), form.get("key").trim(), form.has("operator"));
    } catch (error) {
      change({ error });
    }
  };
  return (
    <main class="login">
      <form class="card" onSubmit={submit}>
        <Logo size={40} />
        <h1>Log in</h1>
        <p class="soft" role="status">
          {hasEnded()
            ? "Your login has ended. Log in again to go on."
            : "See and change what your client has scheduled."}
        </p>
        <Failure error={state.error} />
        <Field label="Client id">
          <input name="client" required autocomplete="username" autocapitalize="none" spellcheck={false} ref={first} />
        </Field>
        <Field label="API key" hint="It is exchanged for a token and not kept.">
          <input name="key" type="password" required autocomplete="current-password" />
        </Field>
        <label class="check">
          <input name="operator" type="checkbox" />
          <span>
            As operator <span class="soft">See the conversations of all clients.</span>
          </span>
        </label>
        <button class="primary" disabled={state.busy}>
          {state.busy ? "Logging in…" : "Log in"}
        </button>
      </form>
      <p>
        <a href="docs">API documentation</a>
      </p>
    </main>
  );
}
