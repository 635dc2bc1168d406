// One conversation: what it sends, where to and when, and everything that happened to it.

import { get } from "../api.js";
import { period, receiver } from "../format.js";
import { useLoad } from "../load.js";
import { Ago, Failure, Labels, Loading, Status, Time, Title } from "../parts.jsx";
import { link } from "../router.js";
import { allows, current } from "../session.js";
import { Actions } from "./actions.jsx";
import { Occurrences, Timeline } from "./timeline.jsx";

const EVERY = 5_000;

export function Conversation({ id, client }) {
  const { data, error, reload } = useLoad((signal) => get(id, client, signal), `${id} ${client}`, EVERY);
  // Only the client that a conversation belongs to can change it.
  const mayChange = (!client || client === current().client) && allows("conversations:write");
  return (
    <>
      <p class="back">
        <a href={link(["conversations"], { client })}>Conversations{client && ` of ${client}`}</a>
      </p>
      <Title text={data?.name ?? "Conversation"} />
      <Failure error={error} retry={reload} />
      {!data && !error && <Loading />}
      {data && (
        <>
          <p class="summary">
            <Status status={data.status} paused={data.paused} />
            <code>{data.conversationId}</code>
          </p>
          {mayChange && <Actions of={data} done={reload} />}
          <div class="columns">
            <section class="card" aria-labelledby="history">
              <h2 id="history">{data.recurrence ? `History of occurrence ${data.occurrence}` : "History"}</h2>
              <Timeline of={data} />
            </section>
            <section class="card" aria-labelledby="content">
              <h2 id="content">Content</h2>
              <Content of={data} />
            </section>
          </div>
          {data.recurrence && <Occurrences of={data} />}
        </>
      )}
    </>
  );
}

function Content({ of }) {
  const json = (value) => JSON.stringify(value, null, 2);
  return (
    <>
      <pre class="text">{of.conversationText}</pre>
      <dl>
        <Entry name="Due">
          <Time time={of.scheduledTime} />
        </Entry>
        {of.localTime && <Entry name={`In ${of.timeZone}`}>{of.localTime.replace(/\[.*/, "")}</Entry>}
        {of.recurrence && <Entry name="Recurs">{recurs(of)}</Entry>}
        <Entry name={of.endpoint ? "Endpoint" : "Delivered to"}>
          <code>{receiver(of)}</code>
        </Entry>
        <Entry name="Attempts">
          at most {of.retry.maxAttempts}
          {of.endpoint && `, each for ${of.timeoutSeconds} s`}
        </Entry>
        {of.labels && (
          <Entry name="Labels">
            <Labels labels={of.labels} />
          </Entry>
        )}
        {of.threadId && <Entry name="Thread">{of.threadId}</Entry>}
        {of.expireAfter && <Entry name="Expires">{of.expireAfter} after it is due</Entry>}
        {of.callbackOf && (
          <Entry name="Tells of">
            <a href={link(["conversations", of.callbackOf])}>another conversation</a>
          </Entry>
        )}
        <Entry name="Scheduled">
          <Ago time={of.createdTime} />
        </Entry>
      </dl>
      {Object.keys(of.headers).length > 0 && <More name="Headers">{Object.keys(of.headers).join("\n")}</More>}
      {of.additionalInfo != null && <More name="Additional information">{json(of.additionalInfo)}</More>}
      {of.body != null && <More name="Body">{json(of.body)}</More>}
      {of.successWhen && <More name="Success when">{json(of.successWhen)}</More>}
    </>
  );
}

function recurs({ recurrence, ending }) {
  const { cron, timeZone, endTime, maxOccurrences } = recurrence;
  return (
    <>
      <code>{cron}</code> in {timeZone}
      {period(recurrence) && `, ${period(recurrence)}`}
      {endTime && <> until {<Time time={endTime} relative={false} />}</>}
      {maxOccurrences && `, ${maxOccurrences} times at most`}
      {ending && ", ends with the attempt that is under way"}
    </>
  );
}

const Entry = ({ name, children }) => (
  <>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </>
);

const More = ({ name, children }) => (
  <details>
    <summary>{name}</summary>
    <pre>{children}</pre>
  </details>
);
