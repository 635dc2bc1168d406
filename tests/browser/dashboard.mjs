// The dashboard in a real browser: dashboard.mjs ORIGIN CLIENT KEY SCREENSHOTS
// The service is new, and the client is an operator.

import { mkdirSync } from "node:fs";
import { quantiles, together } from "../../dashboard/src/statistics.js";
import { DESKTOP, PHONE, accessible, equal, fits, inBrowser, newPage, nothingWrong, ok } from "./browser.mjs";
import { CANARY, listed, logIn, scheduleAll, startEndpoint } from "./endpoint.mjs";
import { act, logInAs, nothingTakenOver, open, rows, sees } from "./person.mjs";

const [origin, client, key, screenshots] = process.argv.slice(2);
mkdirSync(screenshots, { recursive: true });
const endpoint = await startEndpoint();
const call = await logIn(origin, client, key);

/** Checks a view, and keeps how it looks. */
async function checked(page, name) {
  await fits(page, name);
  await accessible(page, name);
  await page.screenshot({ path: `${screenshots}/${name}.png` });
}

/** Checks a view in the dark and on a phone. */
async function checkedEverywhere(page, name) {
  await checked(page, name);
  await page.emulateMedia({ colorScheme: "dark" });
  await checked(page, `${name}-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  await checked(page, `${name}-phone`);
  await page.setViewportSize(DESKTOP);
}

async function prepare() {
  const text = { conversationText: "Summarise the open tickets and post the result.", endpoint: `${endpoint.url}/ok` };
  const later = Array.from({ length: 52 }, (_, index) => ({
    delay: `${index + 1}h`,
    labels: { team: index < 3 ? "ops" : "sales" },
  }));
  await scheduleAll(call, { ...text, endpoint: "https://agents.example.com/hook" }, later);
  const now = Array.from({ length: 20 }, () => ({ delay: "0s", labels: { team: "ops" } }));
  await scheduleAll(call, text, now);
  const refused = {
    conversationText: CANARY,
    endpoint: `${endpoint.url}/refused`,
    delay: "0s",
    labels: { canary: CANARY.slice(0, 60) },
  };
  await scheduleAll(call, {}, [refused, refused, refused]);
  await listed(call, "status=Failed", ({ length }) => length === 3);
  await listed(call, "status=Completed", ({ length }) => length === 20);
  const { apiKey } = await call("POST", "/api/clients", { clientId: "another" });
  const other = await logIn(origin, "another", apiKey);
  const reader = await call("POST", "/api/clients", { clientId: "reader", scopes: ["conversations:read"] });
  await scheduleAll(other, {}, [
    { conversationText: "Of another client", endpoint: "https://example.com/", delay: "1h" },
  ]);
  return reader.apiKey;
}

async function login(page) {
  const response = await page.goto(`${origin}/`);
  equal(response.status(), 200, "the status of /");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await checked(page, "login");
  await logInAs(page, client, "a-wrong-key");
  await sees(page, "The client id or the API key is wrong.");
  // Chromium writes a line to the console for each answer with an error.
  page.wrong.splice(0);
  await logInAs(page, client, key, { operator: true });
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  ok(!kept.includes(key) && kept.includes("token"), "the tab keeps the token and not the key");
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

async function overview(page) {
  await page.locator("circle").nth(22).waitFor();
  equal(await page.locator("circle.failed").count(), 3, "points of failed deliveries");
  equal(
    await page
      .locator(".tile strong")
      .allTextContents()
      .then(([, overdue, failed]) => [overdue, failed]),
    ["0", "3"],
    "the tiles",
  );
  await sees(page, "the endpoint answered 410, which is not tried again");
  await checkedEverywhere(page, "overview");
}

async function list(page) {
  await open(page, origin, "conversations", "Conversations");
  await rows(page, 50);
  await page.getByRole("link", { name: "Next page" }).click();
  await rows(page, 25);
  await page.goBack();
  await rows(page, 50);
  await page.getByLabel("Status").selectOption("Scheduled");
  await page.getByLabel("Label", { exact: true }).fill("team:ops");
  await page.getByRole("button", { name: "Apply" }).click();
  await rows(page, 3);
  await page.getByLabel("Before").fill("2020-01-01T00:00");
  await page.getByRole("button", { name: "Apply" }).click();
  await sees(page, "No conversation matches.");
  await open(page, origin, "conversations", "Conversations");
  await rows(page, 50);
  await nothingTakenOver(page);
  await checkedEverywhere(page, "list");
}

async function failedConversation(page) {
  await open(page, origin, "conversations?status=Failed", "Conversations");
  await (await rows(page, 3)).first().getByRole("link").click();
  await sees(page, "Attempt 1: Refused for good");
  equal(await page.locator("pre.text").textContent(), CANARY, "the text");
  equal(await page.locator("pre.excerpt").textContent(), CANARY, "the answer of the endpoint");
  await nothingTakenOver(page);
  await checkedEverywhere(page, "conversation");
  await act(page, "Redeliver…", "Redeliver");
  await sees(page, "Attempt 2: Refused for good");
}

async function redeliverAll(page) {
  await open(page, origin, "conversations?status=Failed", "Conversations");
  await rows(page, 3);
  await page.getByRole("button", { name: "Redeliver all" }).click();
  await checked(page, "dialog");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const attempts = (expected) => (failed) => String(failed.map((it) => it.attempts).sort()) === expected;
  await listed(call, "status=Failed", attempts("1,1,2"));
  await act(page, "Redeliver all", "Redeliver all");
  await listed(call, "status=Failed", attempts("2,2,3"));
}

async function schedule(page) {
  await page.getByRole("link", { name: "Schedule" }).last().click();
  await page.getByRole("heading", { name: "Schedule a conversation" }).waitFor();
  await page.getByLabel("Text", { exact: true }).fill("Write the daily report");
  await page.getByLabel("Endpoint").fill("https://example.com/hook");
  await page.getByLabel("Recurring").check();
  await page.getByLabel("Cron expression").fill("30 9 * * NEVER");
  await page.locator(".preview .error").waitFor();
  page.wrong.splice(0);
  await page.getByLabel("Cron expression").fill("30 9 * * *");
  await page.locator(".preview li").nth(4).waitFor();
  ok((await page.locator(".preview").textContent()).includes("09:30"), "the instants are in the time zone of the form");
  await checkedEverywhere(page, "schedule");
  await page.getByRole("button", { name: "Schedule" }).click();
  await sees(page, "Next: first attempt");
  await act(page, "Pause…", "Pause");
  await sees(page, "No occurrence begins until it is resumed.");
  await act(page, "Resume…", "Resume");
  await sees(page, "Next: first attempt");
}

/** A conversation without an endpoint waits in the inbox, and its page says what a receiver does with it. */
async function inbox(page) {
  await open(page, origin, "schedule", "Schedule a conversation");
  await page.getByLabel("Text", { exact: true }).fill("Look at the deployment");
  await page.getByLabel("In the inbox").check();
  equal(await page.getByLabel("Endpoint").count(), 0, "fields for an endpoint");
  await page.getByLabel("After a delay").check();
  await page.getByLabel("Delay", { exact: true }).fill("0s");
  await checked(page, "schedule-inbox");
  await page.getByRole("button", { name: "Schedule" }).click();
  await sees(page, "Can be received: first attempt");
  const { conversations } = await call("POST", "/api/inbox/receive", {});
  await page.reload();
  await sees(page, "Attempt 1: Under way");
  await checkedEverywhere(page, "inbox");
  const [{ conversationId, receipt }] = conversations;
  await call("POST", `/api/inbox/${conversationId}/ack`, { receipt });
  await page.reload();
  await sees(page, "Attempt 1: Accepted");
}

/** What recurs says how often, in the list and on its page. */
async function everyOther(page) {
  const recurrence = { cron: "0 9 * * FRI", everyWeeks: 2 };
  const labels = { team: "weeks" };
  await scheduleAll(call, { labels }, [{ conversationText: "Retro", deliver: "inbox", recurrence }]);
  await open(page, origin, "conversations?label=team:weeks", "Conversations");
  const [row] = await (await rows(page, 1)).all();
  ok((await row.textContent()).includes("every 2 weeks"), "the list");
  await row.getByRole("link").click();
  await sees(page, "0 9 * * FRI in UTC, every 2 weeks");
}

async function moveAndCancel(page) {
  const [id] = await scheduleAll(call, {}, [
    { conversationText: "Later", endpoint: "https://example.com/", delay: "2h" },
  ]);
  await open(page, origin, `conversations/${id}`, "Conversation");
  await act(page, "Move…", "Move", { "New time": "2030-06-01T14:00" });
  await page.getByText("1 Jun 2030, 14:00:00").first().waitFor();
  equal((await call("GET", `/api/scheduler/status/${id}`)).scheduledTime, "2030-06-01T12:00:00.000Z", "in Berlin");
  await changedByAnother(page, id);
  // All of it with the keyboard.
  await page.getByRole("button", { name: "Cancel…" }).press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator(".summary .cancelled").waitFor();
}

/** The page shows a state that is no longer true, until it asks again. */
async function changedByAnother(page, id) {
  await page.route("**/api/scheduler/status/**", () => {});
  await call("PATCH", `/api/scheduler/${id}`, { labels: { team: "ops" } });
  await page.getByRole("button", { name: "Move…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Move" }).click();
  await page.getByRole("dialog").getByRole("alert").waitFor();
  await page.getByRole("button", { name: "Back" }).click();
  await page.unroute("**/api/scheduler/status/**");
  page.wrong.splice(0);
}

async function operator(page) {
  await page.getByRole("link", { name: "Clients" }).click();
  await (await rows(page, 3)).first().waitFor();
  await checked(page, "clients");
  await page.getByRole("link", { name: "another" }).click();
  await rows(page, 1);
  await open(page, origin, "conversations?client=*", "Conversations of all clients");
  await (await rows(page, 50)).first().getByRole("link").click();
  await sees(page, "Of another client");
  equal(await page.getByRole("button", { name: "…" }).count(), 0, "actions on the conversation of another client");
}

/** A token that the service refuses, as after a restart with another key. */
async function ended(page) {
  await page.evaluate(() => {
    for (const [name, value] of Object.entries(sessionStorage))
      sessionStorage[name] = value.replace(/"token":"[^"]*"/, '"token":"x"');
  });
  await page.reload();
  await sees(page, "Your login has ended. Log in again to go on.");
  page.wrong.splice(0);
  await logInAs(page, client, key, { operator: true });
  // The person is where they were.
  await sees(page, "Of another client");
}

async function logout(page) {
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  equal(await page.evaluate(() => sessionStorage.length), 0, "what the tab keeps");
}

/** The plot shows no time of which it knows only the failures, or only the successes. */
function numbers() {
  const page = (times, nextCursor = null) => ({ conversations: times.map((endedTime) => ({ endedTime })), nextCursor });
  const times = (...pages) => together(pages).map(({ endedTime }) => endedTime);
  equal(times(page(["8", "7"], "more"), page(["9", "6"])), ["8", "7", "9"], "a page with more behind it");
  equal(times(page(["8", "2"]), page(["9", "6"])), ["8", "2", "9", "6"], "whole lists");
  equal(times(page([]), page([], "more")), [], "nothing");
  equal(quantiles([5, 1, 9, 3], [0.5, 0.99]), [5, 9], "a median and a maximum");
}

/** A client that may only read has no buttons that change anything. */
async function reader(page) {
  await logInAs(page, "reader", readersKey);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  equal(
    await page.getByRole("navigation", { name: "Views" }).getByRole("link").allTextContents(),
    ["Overview", "Conversations"],
    "views",
  );
}

numbers();
const readersKey = await prepare();
await inBrowser(async (browser) => {
  const page = await newPage(browser, origin);
  for (const part of [
    login,
    overview,
    list,
    failedConversation,
    redeliverAll,
    schedule,
    inbox,
    everyOther,
    moveAndCancel,
    operator,
    ended,
    logout,
  ]) {
    await part(page).catch((error) => {
      throw new Error(`${part.name}: ${error.message}\n${page.wrong.join("\n")}`, { cause: error });
    });
    nothingWrong(page);
  }
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`first contentful paint after ${Math.round(paint)} ms`);
});
endpoint.stop();
