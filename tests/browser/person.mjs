// What a person does with the dashboard.

import { ok } from "./browser.mjs";

export async function logInAs(page, client, key, { operator = false } = {}) {
  await page.getByLabel("Client id").fill(client);
  await page.getByLabel("API key").fill(key);
  if (operator) await page.getByLabel("As operator").check();
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Goes to a view by its address. */
export async function open(page, origin, place, heading) {
  await page.goto(`${origin}/#/${place}`);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}

/** Opens the dialog of an action, fills in its fields and confirms. */
export async function act(page, action, confirm, fields = {}) {
  await page.getByRole("button", { name: action }).click();
  const dialog = page.getByRole("dialog");
  for (const [label, value] of Object.entries(fields)) await dialog.getByLabel(label).fill(value);
  await dialog.getByRole("button", { name: confirm }).click();
  await dialog.waitFor({ state: "detached" });
}

/** Waits until the page shows a text. */
export const sees = (page, text) => page.getByText(text, { exact: true }).first().waitFor();

/** Waits until a list shows this many rows. */
export async function rows(page, number) {
  await page.waitForFunction((number) => document.querySelectorAll("tbody tr").length === number, number);
  return page.locator("tbody tr");
}

/** Fails if anything of a text from outside has become a part of the page. */
export async function nothingTakenOver(page) {
  ok((await page.locator("img, main b").count()) === 0, "a text has become HTML");
  ok((await page.title()) !== "taken over", "a text has become a script");
}
