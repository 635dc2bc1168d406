// What happened to a conversation, in the order of time: every attempt with its answer, and what follows.

import { duration, receiver } from "../format.js";
import { Status, Time } from "../parts.jsx";

const OUTCOMES = {
  success: ["good", "Accepted"],
  failure: ["bad", "Failed"],
  permanentFailure: ["bad", "Refused for good"],
  unknown: ["bad", "No result"],
  inFlight: ["now", "Under way"],
};

export function Timeline({ of }) {
  return (
    <ol class="timeline">
      <Event time={of.createdTime} title="Scheduled" />
      {of.attempts.map((attempt) => (
        <Attempt key={attempt.number} attempt={attempt} of={of} />
      ))}
      <Next of={of} />
    </ol>
  );
}

/** A receiver of the inbox answers with no status. */
function answered({ deliver }, httpStatus) {
  if (deliver) return "Ended";
  return httpStatus ? `Answered ${httpStatus}` : "No answer";
}

function Attempt({ attempt, of }) {
  const [kind, name] = OUTCOMES[attempt.outcome] ?? ["", attempt.outcome];
  const { httpStatus, error, durationMs, responseExcerpt } = attempt;
  const late = attempt.number === 1 && of.latenessMs !== undefined && ` · ${duration(of.latenessMs)} after it was due`;
  return (
    <Event kind={kind} time={attempt.startedTime} title={`Attempt ${attempt.number}: ${name}`}>
      <p class="soft">
        {receiver(of)}
        {late}
      </p>
      {durationMs !== undefined && (
        <p>
          {answered(of, httpStatus)}
          {error && `: ${error.replaceAll("_", " ")}`} after {duration(durationMs)}
        </p>
      )}
      {responseExcerpt && <pre class="excerpt">{responseExcerpt}</pre>}
    </Event>
  );
}

/** What follows, or how it ended. */
function Next({ of }) {
  const { status, lastError, nextAttemptTime, updatedTime } = of;
  if (of.paused) return <Event kind="next" title="Paused" text="No occurrence begins until it is resumed." />;
  if (nextAttemptTime) {
    const number = of.attempts.length > 0 && of.attempts.at(-1).number + 1;
    const attempt = number ? `attempt ${number}` : "first attempt";
    // A conversation in the inbox is not sent: it waits until somebody receives it.
    const title = of.deliver ? `Can be received: ${attempt}` : `Next: ${attempt}`;
    return <Event kind="next" time={nextAttemptTime} title={title} text={lastError} />;
  }
  if (status === "Failed") return <Event kind="bad" time={updatedTime} title="Failed" text={lastError} />;
  if (status === "Completed" || status === "Cancelled") return <Event kind="end" time={updatedTime} title={status} />;
  return null;
}

function Event({ kind = "", time, title, text, children }) {
  return (
    <li class={kind}>
      <strong>{title}</strong>
      {time && (
        <p class="soft">
          <Time time={time} />
        </p>
      )}
      {text && <p>{text}</p>}
      {children}
    </li>
  );
}

/** The occurrences that are over, the last one first. */
export function Occurrences({ of }) {
  return (
    <section class="card" aria-labelledby="occurrences">
      <h2 id="occurrences">Occurrences</h2>
      {of.occurrences.length === 0 && <p class="soft">The first one is not over yet.</p>}
      {of.occurrences.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">Status</th>
              <th scope="col">Due</th>
              <th scope="col">Attempts</th>
              <th scope="col">What happened</th>
            </tr>
          </thead>
          <tbody>
            {[...of.occurrences].reverse().map((it) => (
              <tr key={it.number}>
                <td data-name="Number">{it.number}</td>
                <td>
                  <Status status={it.status} />
                </td>
                <td data-name="Due">
                  <Time time={it.scheduledTime} />
                </td>
                <td data-name="Attempts">{it.attempts}</td>
                <td class="reason">
                  {it.lastError}
                  {it.missedOccurrences > 0 && ` ${it.missedOccurrences} before it were missed.`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
