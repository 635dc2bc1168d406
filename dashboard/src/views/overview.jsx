// What is due next, what is late, what has failed, and how punctual the last deliveries were.

import { list } from "../api.js";
import { now } from "../clock.js";
import { count, duration, nameOf, relativeTime } from "../format.js";
import { useLoad } from "../load.js";
import { Ago, Empty, Failure, Loading, Title } from "../parts.jsx";
import { link } from "../router.js";
import { quantiles, together } from "../statistics.js";
import { LatenessPlot } from "./plot.jsx";

const EVERY = 15_000;
const PAGE = 100;
const SHOWN = 6;
const OVERDUE_AFTER = 60_000;
const DAY = 86_400_000;

/** Four pages of the index, however many conversations there are. */
async function load(signal) {
  const page = (status, limit) => list({ status, limit }, signal);
  const [scheduled, running, failed, completed] = await Promise.all([
    page("Scheduled", SHOWN),
    page("InProgress", PAGE),
    page("Failed", PAGE),
    page("Completed", PAGE),
  ]);
  const since = new Date(now() - DAY).toISOString();
  const isLate = ({ nextAttemptTime }) => Date.parse(nextAttemptTime) < now() - OVERDUE_AFTER;
  return {
    next: scheduled.conversations,
    overdue: { found: running.conversations.filter(isLate), more: running.nextCursor },
    failed: { found: failed.conversations.filter(({ endedTime }) => endedTime > since), more: failed.nextCursor },
    ended: together([completed, failed]),
  };
}

export function Overview() {
  const { data, error, reload } = useLoad(load, "overview", EVERY);
  return (
    <>
      <Title text="Overview" />
      <Failure error={error} retry={reload} />
      {data ? <Found {...data} /> : !error && <Loading />}
    </>
  );
}

function Found({ next, overdue, failed, ended }) {
  const late = ended.map(({ latenessMs }) => latenessMs).filter((ms) => ms !== undefined);
  const [median] = quantiles(late, [0.5]);
  return (
    <>
      <ul class="tiles">
        <Tile
          name="Next delivery"
          value={next[0] ? relativeTime(next[0].scheduledTime) : "none"}
          to={{ status: "Scheduled" }}
        />
        <Tile name="Overdue" value={atLeast(overdue)} wrong={overdue.found.length > 0} to={{ status: "InProgress" }} />
        <Tile name="Failed in 24 h" value={atLeast(failed)} wrong={failed.found.length > 0} to={{ status: "Failed" }} />
        <Tile
          name="Median lateness"
          value={median === undefined ? "–" : duration(median)}
          to={{ status: "Completed" }}
        />
      </ul>
      <section class="card" aria-labelledby="lateness">
        <h2 id="lateness">Lateness of the last deliveries</h2>
        <LatenessPlot conversations={ended} />
      </section>
      <div class="columns">
        <Short title="Next" conversations={next} to={{ status: "Scheduled" }} time="scheduledTime">
          <Empty title="Nothing is scheduled.">What your client schedules appears here.</Empty>
        </Short>
        <Short title="Failed lately" conversations={failed.found} to={{ status: "Failed" }} time="endedTime">
          <Empty title="Nothing has failed in the last 24 hours." />
        </Short>
      </div>
    </>
  );
}

/** The number in a page, with a plus if there is another page that may have more. */
const atLeast = ({ found, more }) => `${found.length}${more && found.length === PAGE ? "+" : ""}`;

function Tile({ name, value, wrong, to }) {
  return (
    <li>
      <a class={wrong ? "card tile wrong" : "card tile"} href={link(["conversations"], to)}>
        <span class="soft">{name}</span> <strong>{value}</strong>
      </a>
    </li>
  );
}

function Short({ title, conversations, to, time, children }) {
  const shown = conversations.slice(0, SHOWN);
  return (
    <section class="card" aria-label={title}>
      <div class="head">
        <h2>{title}</h2>
        <a href={link(["conversations"], to)}>
          All<span class="hidden"> of {title}</span>
        </a>
      </div>
      {shown.length === 0 && children}
      <ul class="short">
        {shown.map((it) => (
          <li key={it.conversationId}>
            <a href={link(["conversations", it.conversationId])}>{nameOf(it)}</a>
            <span class="soft">
              <Ago time={it[time]} />
            </span>
            {it.lastError && <span class="soft reason">{it.lastError}</span>}
          </li>
        ))}
      </ul>
      {conversations.length > SHOWN && <p class="soft">and {count(conversations.length - SHOWN, "other")}</p>}
    </section>
  );
}
