// The page of the API in a real browser: docs.mjs ORIGIN OPERATION…

import { DESKTOP, PHONE, accessible, equal, fits, inBrowser, newPage, nothingWrong, ok } from "./browser.mjs";

const [origin, ...operations] = process.argv.slice(2);

await inBrowser(async (browser) => {
  const page = await newPage(browser, origin);
  const response = await page.goto(`${origin}/docs`);
  equal(response.status(), 200, "the status of /docs");
  for (const name of operations) {
    ok(await page.locator(`section#${name}`).isVisible(), `/docs does not show ${name}`);
  }
  const last = operations.at(-1);
  await page.locator(`nav a[href="#${last}"]`).click();
  await page.waitForFunction((id) => document.getElementById(id).getBoundingClientRect().top < innerHeight, last);
  for (const [colorScheme, size] of [
    ["light", DESKTOP],
    ["dark", PHONE],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await fits(page, `/docs in ${colorScheme}`);
    await accessible(page, `/docs in ${colorScheme}`);
  }
  nothingWrong(page);
});
