// The conversations that match a filter, page by page. The filter is in the address, so it can be kept as a bookmark.

import { list } from "../api.js";
import { nameOf, period, shortReceiver } from "../format.js";
import { useLoad } from "../load.js";
import { Ago, Empty, Failure, Labels, Loading, Status, Time, Title } from "../parts.jsx";
import { link } from "../router.js";
import { allows } from "../session.js";
import { Filters, RedeliverAll } from "./filters.jsx";

const LIMIT = 50;

export function List({ query }) {
  const { data, error, reload } = useLoad((signal) => list({ ...query, limit: LIMIT }, signal), JSON.stringify(query));
  const { client } = query;
  const title = !client
    ? "Conversations"
    : client === "*"
      ? "Conversations of all clients"
      : `Conversations of ${client}`;
  const mayRedeliver = query.status === "Failed" && !client && allows("conversations:write");
  return (
    <>
      <Title text={title} />
      <Filters query={query} />
      <Failure error={error} retry={reload} />
      {!data && !error && <Loading />}
      {data && (
        <>
          {mayRedeliver && data.conversations.length > 0 && <RedeliverAll query={query} done={reload} />}
          <Table conversations={data.conversations} client={client} />
          <Pages query={query} next={data.nextCursor} empty={data.conversations.length === 0} />
        </>
      )}
    </>
  );
}

function Table({ conversations, client }) {
  if (conversations.length === 0) return null;
  return (
    <table class="card list">
      <thead>
        <tr>
          <th scope="col">Status</th>
          {client === "*" && <th scope="col">Client</th>}
          <th scope="col">Conversation</th>
          <th scope="col">Due</th>
          <th scope="col">Attempts</th>
          <th scope="col">What happened</th>
        </tr>
      </thead>
      <tbody>
        {conversations.map((it) => (
          <Row key={it.conversationId} it={it} client={client} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ it, client }) {
  return (
    <tr>
      <td>
        <Status status={it.status} paused={it.paused} />
      </td>
      {client === "*" && <td data-name="Client">{it.clientId}</td>}
      <td>
        <a href={link(["conversations", it.conversationId], { client: it.clientId })}>
          {nameOf(it)}
        </a>{" "}
        <span class="soft">{shortReceiver(it)}</span>{" "}
        {it.recurrence && <code title={it.recurrence.timeZone}>{it.recurrence.cron}</code>}{" "}
        {it.recurrence && <span class="soft">{period(it.recurrence)}</span>}{" "}
        <Labels labels={it.labels} />
      </td>
      <td data-name="Due">
        <Time time={it.scheduledTime} />
      </td>
      <td data-name="Attempts">{it.attempts}</td>
      <td class="reason">{happened(it)}</td>
    </tr>
  );
}

function happened({ status, lastError, nextAttemptTime, endedTime }) {
  if (status === "InProgress" && nextAttemptTime) {
    return (
      <>
        {lastError} Next attempt <Ago time={nextAttemptTime} />
      </>
    );
  }
  return lastError ?? (endedTime && <Ago time={endedTime} />);
}

function Pages({ query, next, empty }) {
  const { cursor, ...first } = query;
  return (
    <>
      {empty && !next && (
        <Empty title="No conversation matches.">
          {cursor ? "This was the last page." : "Change the filter, or schedule one."}
        </Empty>
      )}
      {empty && next && (
        <Empty title="None found so far.">Labels and hosts are in no index, so the search goes on page by page.</Empty>
      )}
      <nav class="pages" aria-label="Pages">
        {cursor && <a href={link(["conversations"], first)}>First page</a>}
        {next && <a href={link(["conversations"], { ...first, cursor: next })}>{empty ? "Search on" : "Next page"}</a>}
      </nav>
    </>
  );
}
