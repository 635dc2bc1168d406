// An action that asks before it acts.

import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "./parts.jsx";

/**
 * A button that opens a dialog. `act(form, report)` gets the fields of the dialog and can report its progress; the dialog
 * closes when it is done, and stays with the error when it fails.
 */
export function Action({ label, title, confirm, danger, primary, act, done, children }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class={danger ? "danger" : primary ? "primary" : ""} onClick={() => setOpen(true)}>
        {label}
      </button>
      {open && <Dialog {...{ title, confirm, danger, act, children }} close={() => setOpen(false)} done={done} />}
    </>
  );
}

function Dialog({ title, confirm, danger, act, done, close, children }) {
  const dialog = useRef();
  const [state, change] = useState({});
  useEffect(() => dialog.current.showModal(), []);
  // Closed by itself, the dialog gives the focus back to the button that opened it.
  const shut = () => dialog.current?.close();
  const submit = async (event) => {
    event.preventDefault();
    const form = Object.fromEntries(new FormData(event.currentTarget));
    change({ busy: true });
    try {
      const result = await act(form, (progress) => change({ busy: true, progress }));
      shut();
      done?.(result);
    } catch (error) {
      change({ error });
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="dialog-title">{title}</h2>
        <div>{children}</div>
        {state.progress && <p role="status">{state.progress}</p>}
        <Failure error={state.error} />
        <div class="buttons">
          <button type="button" disabled={state.busy} onClick={shut}>
            Back
          </button>
          <button class={danger ? "danger" : "primary"} disabled={state.busy}>
            {confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}
