// The login. The API key is never kept. The token is kept in the storage of this tab, which ends with the tab, so that a
// reload does not log out.

const PLACE = "mcp-scheduler.session";
const SCOPES = ["conversations:read", "conversations:write"];

let session = restored();
let ended = false;
const listeners = new Set();

function restored() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE));
    return kept && kept.expires > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

function change(next) {
  session = next;
  if (next) sessionStorage.setItem(PLACE, JSON.stringify(next));
  else sessionStorage.removeItem(PLACE);
  for (const listener of listeners) listener();
}

/** The client id, the token and its scopes; null without a login. */
export const current = () => session;

/** Calls a function at each login and logout. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const allows = (scope) => Boolean(session?.scopes.includes(scope));

/** Exchanges an API key for a token. Throws an Error with a text for people. */
export async function logIn(client, key, asOperator) {
  const scope = [...SCOPES, ...(asOperator ? ["operator"] : [])].join(" ");
  const form = { grant_type: "client_credentials", client_id: client, client_secret: key, scope };
  let response;
  try {
    response = await fetch("oauth/token", { method: "POST", body: new URLSearchParams(form), credentials: "omit" });
  } catch {
    throw new Error("The service does not answer.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(refusal(response, answer));
  const scopes = answer.scope.split(" ");
  if (asOperator && !scopes.includes("operator")) throw new Error("This client is no operator.");
  if (!scopes.includes("conversations:read")) throw new Error("This client may not read conversations.");
  ended = false;
  change({ client, token: answer.access_token, scopes, expires: Date.now() + answer.expires_in * 1000 });
}

function refusal(response, answer) {
  if (response.status === 401) return "The client id or the API key is wrong.";
  const wait = response.headers.get("retry-after");
  if (response.status === 429) return `Too many wrong keys. Try again in ${wait ?? "60"} seconds.`;
  return answer.error_description ?? answer.detail ?? `The service answered with the status ${response.status}.`;
}

/** Forgets the token. */
export const logOut = () => change(null);

/** Forgets a token that the service no longer accepts. */
export function expire() {
  ended = true;
  change(null);
}

/** Whether the last login ended without a logout. */
export const hasEnded = () => ended;
