// What can be done with a conversation. Each action asks first, and changes only the state that is shown.

import { cancel, redeliver, run, update } from "../api.js";
import { Action } from "../dialog.jsx";
import { inputTime, ZONE } from "../format.js";
import { Field } from "../parts.jsx";
import { go } from "../router.js";

export function Actions({ of, done }) {
  const { conversationId: id, status, recurrence, paused } = of;
  const isLive = status === "Scheduled" || status === "InProgress";
  return (
    <div class="buttons" role="group" aria-label="Actions">
      {status === "Failed" && (
        <Action
          label="Redeliver…"
          title="Redeliver now?"
          confirm="Redeliver"
          primary
          act={() => redeliver(id)}
          done={done}
        >
          <p>It is sent again at once, with a new set of attempts.</p>
        </Action>
      )}
      {status === "Scheduled" && !recurrence && <Move of={of} done={done} />}
      {isLive && recurrence && <Pause of={of} paused={paused} done={done} />}
      <Action
        label="Run now…"
        title="Send it once now?"
        confirm="Run now"
        act={() => run(id)}
        done={(copy) => go(["conversations", copy.conversationId])}
      >
        <p>A copy that is due now is scheduled. This conversation stays as it is.</p>
      </Action>
      {isLive && (
        <Action
          label="Cancel…"
          title="Cancel this conversation?"
          confirm="Cancel it"
          danger
          act={() => cancelled(id)}
          done={done}
        >
          <p>{recurrence ? "No further occurrence is delivered." : "It is not delivered."} This cannot be undone.</p>
        </Action>
      )}
    </div>
  );
}

async function cancelled(id) {
  const answer = await cancel(id);
  if (!answer.cancelled) throw new Error(answer.reason ?? "It was too late to cancel it.");
}

function Move({ of, done }) {
  const act = ({ time }) => {
    const zone = of.timeZone && { timeZone: of.timeZone };
    return update(of.conversationId, { scheduledTime: new Date(time).toISOString(), ...zone }, of.etag);
  };
  return (
    <Action label="Move…" title="Move it to another time" confirm="Move" act={act} done={done}>
      <Field label="New time" hint={`In your time zone, ${ZONE}.`}>
        <input name="time" type="datetime-local" required defaultValue={inputTime(of.scheduledTime)} />
      </Field>
    </Action>
  );
}

function Pause({ of, paused, done }) {
  const act = () => update(of.conversationId, { paused: !paused }, of.etag);
  return paused ? (
    <Action label="Resume…" title="Resume?" confirm="Resume" primary act={act} done={done}>
      <p>The next occurrence after now is delivered at its time.</p>
    </Action>
  ) : (
    <Action label="Pause…" title="Pause?" confirm="Pause" act={act} done={done}>
      <p>No occurrence begins until it is resumed.</p>
    </Action>
  );
}
