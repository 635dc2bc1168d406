// The place in the dashboard is the fragment of the address, so that the buttons of the browser work, and no id of a
// conversation is in a request for a page.

import { useEffect, useState } from "preact/hooks";
import { parameters } from "./api.js";

/** The parts of the path and the query of a fragment such as #/conversations/ID?client=NAME. */
function parsed(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place. */
export function link(parts, query = {}) {
  const text = parameters(query);
  return `#/${parts.map(encodeURIComponent).join("/")}${text && `?${text}`}`;
}

/** Goes to a place. */
export const go = (parts, query) => {
  location.hash = link(parts, query);
};

/** The place that is shown now. */
export function usePlace() {
  const [hash, change] = useState(location.hash);
  useEffect(() => {
    const changed = () => change(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return parsed(hash);
}
