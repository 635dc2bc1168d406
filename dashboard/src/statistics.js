// Numbers from pages of lists.

/** The values below which these fractions of a list are; undefined for an empty list. */
export function quantiles(values, fractions) {
  const sorted = [...values].sort((a, b) => a - b);
  return fractions.map((fraction) => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]);
}

/**
 * The conversations of these pages, of the time that all of them cover: a page that is not the last one has nothing of what
 * ended before.
 */
export function together(pages) {
  const complete = pages.map(({ conversations, nextCursor }) => (nextCursor && conversations.at(-1)?.endedTime) || "");
  const since = complete.sort().at(-1);
  return pages.flatMap(({ conversations }) => conversations.filter(({ endedTime }) => endedTime >= since));
}
