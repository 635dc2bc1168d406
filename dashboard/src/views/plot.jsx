// Each of the last deliveries as a point: when it ended, and how late its first attempt began.

import { now } from "../clock.js";
import { duration, shortTime } from "../format.js";
import { Empty } from "../parts.jsx";
import { quantiles } from "../statistics.js";
import { useWidth } from "../width.js";

const HEIGHT = 260;
const LEFT = 64;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 32;
const DAY = 86_400_000;
/** The lines of the logarithmic scale, in milliseconds. */
const TICKS = [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];

export function LatenessPlot({ conversations }) {
  const end = now();
  const points = conversations
    .filter(({ endedTime, latenessMs }) => latenessMs !== undefined && Date.parse(endedTime) > end - DAY)
    .map(({ conversationId, endedTime, latenessMs, status }) => ({
      id: conversationId,
      at: Date.parse(endedTime),
      late: Math.max(1, latenessMs),
      failed: status === "Failed",
    }));
  if (points.length === 0) return <Empty title="Nothing was delivered in the last 24 hours." />;
  return <Figure points={points} end={end} />;
}

function Figure({ points, end }) {
  const [element, width] = useWidth();
  const scale = scales(points, end, width);
  const [median, most] = quantiles(
    points.map(({ late }) => late),
    [0.5, 0.99],
  );
  const failed = points.filter((point) => point.failed).length;
  const summary = `${points.length} deliveries since ${shortTime(scale.start, DAY + 1)}: half of them at most ${duration(median)} late, 99 of 100 at most ${duration(most)}; ${failed} failed.`;
  return (
    <figure ref={element}>
      <svg height={HEIGHT} role="img" aria-label={summary}>
        {scale.rows.map((ms) => (
          <g key={ms}>
            <line class="grid" x1={LEFT} x2={width - RIGHT} y1={scale.y(ms)} y2={scale.y(ms)} />
            <text x={LEFT - 10} y={scale.y(ms) + 4} text-anchor="end">
              {duration(ms)}
            </text>
          </g>
        ))}
        {scale.columns.map((at, index) => (
          <text
            key={at}
            x={scale.x(at)}
            y={HEIGHT - 8}
            text-anchor={index === 0 ? "start" : index === scale.columns.length - 1 ? "end" : "middle"}
          >
            {shortTime(at, end - scale.start)}
          </text>
        ))}
        {points.map(({ id, at, late, failed }) => (
          <circle key={id} class={failed ? "failed" : "completed"} cx={scale.x(at)} cy={scale.y(late)} r="4" />
        ))}
      </svg>
      <figcaption class="soft">
        <span class="key completed">Completed</span>
        <span class="key failed">Failed</span>
        {summary}
      </figcaption>
    </figure>
  );
}

/** The places of times and of latenesses, and the lines between them. */
function scales(points, end, width) {
  const start = Math.min(...points.map(({ at }) => at), end - 60_000);
  const most = Math.max(...points.map(({ late }) => late));
  const top = TICKS.find((tick) => tick >= most && tick >= 1_000) ?? TICKS.at(-1);
  const x = (at) => LEFT + ((at - start) / (end - start)) * Math.max(0, width - LEFT - RIGHT);
  const y = (ms) => HEIGHT - BOTTOM - (Math.log(Math.min(ms, top)) / Math.log(top)) * (HEIGHT - TOP - BOTTOM);
  const parts = Math.max(1, Math.min(6, Math.floor(width / 150)));
  const columns = Array.from({ length: parts + 1 }, (_, index) => start + (index / parts) * (end - start));
  return { start, x, y, rows: TICKS.filter((tick) => tick <= top), columns };
}
