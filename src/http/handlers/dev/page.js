// The clock and the inbox. The key is in the part of the address behind #, which a browser sends to nobody. It is kept in
// the storage of this tab, so that a reload works.

const PLACE = "mcp-scheduler.dev";
const element = (id) => document.getElementById(id);

function key() {
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    sessionStorage.setItem(PLACE, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(PLACE);
}

const bearer = key();
// Another key in the address of this tab loads nothing by itself.
addEventListener("hashchange", () => location.reload());

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${bearer}`, ...(body && { "content-type": "application/json" }) };
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "omit" });
  const answer = response.status === 204 ? {} : await response.json();
  if (response.status === 401) throw new Error("Open the address that mcp-scheduler dev has printed.");
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function say(text, isWrong = false) {
  element("message").textContent = text;
  element("message").classList.toggle("wrong", isWrong);
}

function row(arrival) {
  const line = document.createElement("tr");
  const { scheduledTime, latenessMs, attempt, clientId, path, text } = arrival;
  for (const shown of [scheduledTime, `${latenessMs} ms`, attempt, clientId, path, text]) {
    line.append(Object.assign(document.createElement("td"), { textContent: shown }));
  }
  return line;
}

async function show() {
  const [clock, inbox] = await Promise.all([call("GET", "dev/clock"), call("GET", "dev/inbox")]);
  element("now").textContent = clock.now;
  element("received").textContent = `Received: ${inbox.received}, shown: ${inbox.arrivals.length}.`;
  element("arrivals").replaceChildren(...inbox.arrivals.reverse().map(row));
}

/** Does something that a person has asked for, and says what was wrong. */
async function attempt(action) {
  try {
    await action();
    await show();
  } catch (error) {
    say(error.message, true);
  }
}

element("endpoint").textContent = `${location.origin}/dev/inbox`;
element("turn").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    say("Turning …");
    const { attempts, pending, rest, stoppedBy } = await call("POST", "dev/clock", { advance: element("advance").value });
    const made = Object.values(attempts).reduce((sum, count) => sum + count, 0);
    const why = stoppedBy === "loop" ? "Each delivery leads to another one for the same instant" : "It takes long";
    const left = rest ? ` ${why}: ${rest} are left.` : "";
    say(`Attempts: ${made}, of which ${attempts.success} succeeded. Conversations that wait: ${pending}.${left}`);
  });
});
element("empty").addEventListener("click", () => attempt(() => call("DELETE", "dev/inbox")));
attempt(async () => {});
if (bearer) setInterval(() => show().catch(() => {}), 2000);
