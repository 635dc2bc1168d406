// Loads what a view shows, and again while it is shown.

import { useCallback, useEffect, useState } from "preact/hooks";

/**
 * Calls `load(signal)` when `key` changes, when `reload` is called, and each `every` milliseconds while the page is seen.
 * What was loaded stays until the next answer is there.
 */
export function useLoad(load, key, every) {
  const [state, change] = useState({ key });
  const [turn, again] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const attempt = async () => {
      try {
        const data = await load(abort.signal);
        if (!abort.signal.aborted) change({ key, data });
      } catch (error) {
        if (!abort.signal.aborted) change((before) => ({ ...before, key, error }));
      }
      if (every && !abort.signal.aborted) timer = setTimeout(whenSeen, every);
    };
    const whenSeen = () => {
      if (document.hidden) document.addEventListener("visibilitychange", attempt, { once: true, signal: abort.signal });
      else attempt();
    };
    attempt();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn, every]);
  const reload = useCallback(() => again((turn) => turn + 1), []);
  // The data of another key belongs to another view.
  return state.key === key ? { ...state, reload } : { reload };
}
