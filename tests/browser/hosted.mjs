// The dashboard through the Functions host, in short: hosted.mjs ORIGIN CLIENT KEY

import { equal, inBrowser, newPage, nothingWrong } from "./browser.mjs";
import { logInAs, open, rows, sees } from "./person.mjs";

const [origin, client, key] = process.argv.slice(2);

await inBrowser(async (browser) => {
  const page = await newPage(browser, origin);
  const response = await page.goto(`${origin}/`);
  equal([response.status(), response.headers()["cache-control"]], [200, "public, no-cache"], "the page");
  await logInAs(page, client, key);
  await sees(page, "Nothing is scheduled.");
  await open(page, origin, "schedule", "Schedule a conversation");
  await page.getByLabel("Text", { exact: true }).fill("Write the weekly report");
  await page.getByLabel("Endpoint").fill("https://example.com/hook");
  await page.getByLabel("After a delay").check();
  await page.getByLabel("Delay", { exact: true }).fill("2h");
  await page.locator(".preview li").waitFor();
  await page.getByRole("button", { name: "Schedule" }).click();
  await sees(page, "Next: first attempt");
  await open(page, origin, "conversations?status=Scheduled", "Conversations");
  await rows(page, 1);
  nothingWrong(page);
});
