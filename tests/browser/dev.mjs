// The page of mcp-scheduler dev in a real browser: dev.mjs ORIGIN KEY

import { DESKTOP, PHONE, accessible, equal, fits, inBrowser, newPage, nothingWrong, ok } from "./browser.mjs";
import { CANARY } from "./endpoint.mjs";
import { nothingTakenOver, rows, sees } from "./person.mjs";

const [origin, key] = process.argv.slice(2);
const DAY = 24 * 60 * 60 * 1000;

async function schedule(text, delay) {
  const response = await fetch(`${origin}/api/scheduler/schedule`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ conversationText: text, delay, endpoint: `${origin}/dev/inbox/of-a-test` }),
  });
  ok(response.ok, `${response.status} for the schedule request`);
}

async function turn(page, by) {
  await page.getByLabel("Turn the clock by").fill(by);
  await page.getByRole("button", { name: "Turn" }).click();
}

const now = async (page) => Date.parse(await page.locator("#now").textContent());

async function checkedEverywhere(page, name) {
  for (const [colorScheme, size] of [
    ["light", DESKTOP],
    ["dark", PHONE],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await fits(page, `${name} in ${colorScheme}`);
    await accessible(page, `${name} in ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESKTOP);
}

await inBrowser(async (browser) => {
  const page = await newPage(browser, origin);
  await schedule(CANARY, "P4D");
  await schedule("last", "P5D");
  await page.goto(`${origin}/dev#${key}`);
  await sees(page, "Received: 0, shown: 0.");
  equal(page.url(), `${origin}/dev`, "the key is not left in the address");

  const before = await now(page);
  await turn(page, "P4DT1H");
  await page.getByText("Attempts: 1, of which 1 succeeded. Conversations that wait: 1.").waitFor();
  const first = (await rows(page, 1)).first().locator("td");
  const [scheduled, late, ...others] = await first.allTextContents();
  equal([late, ...others], ["0 ms", "1", "local", "/dev/inbox/of-a-test", CANARY], "the arrival");
  ok(Date.parse(scheduled) >= before + 4 * DAY - 60_000, `it was due at ${scheduled}`);
  ok((await now(page)) >= before + 4 * DAY, "the clock was turned");
  await nothingTakenOver(page);
  await checkedEverywhere(page, "the page with an arrival");

  await turn(page, "P1M");
  await page.locator("#message.wrong").getByText("use days").waitFor();
  await checkedEverywhere(page, "the page with an error");
  // Chromium writes a line to the console for each answer with an error.
  page.wrong.splice(0);

  await page.reload();
  await rows(page, 1);
  await turn(page, "P1D");
  equal(await (await rows(page, 2)).first().locator("td").last().textContent(), "last", "the last one is the first");
  await page.getByRole("button", { name: "Empty" }).click();
  await sees(page, "Received: 0, shown: 0.");
  nothingWrong(page);

  const stranger = await newPage(browser, origin);
  await stranger.goto(`${origin}/dev`);
  await sees(stranger, "Open the address that mcp-scheduler dev has printed.");
});
