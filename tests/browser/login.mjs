// The page on which a user lets a program in, in a real browser: login.mjs ORIGIN CLIENT KEY ISSUER
// This script is the program: it knows only the address of the service.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { PHONE, accessible, equal, fits, inBrowser, newPage, ok } from "./browser.mjs";

const [origin, client, key, issuer] = process.argv.slice(2);

const callback = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html>ok"));
await new Promise((ready) => callback.listen(0, "127.0.0.1", ready));
const redirect = `http://127.0.0.1:${callback.address().port}/callback`;

const metadata = await (await fetch(`${origin}/.well-known/oauth-authorization-server`)).json();
const registration = await fetch(metadata.registration_endpoint, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ redirect_uris: [redirect], client_name: "An agent <b>of</b> Anna" }),
});
const { client_id } = await registration.json();
const verifier = randomBytes(32).toString("base64url");
const challenge = createHash("sha256").update(verifier).digest("base64url");

const request = new URLSearchParams({
  response_type: "code",
  client_id,
  redirect_uri: redirect,
  state: "the state",
  code_challenge: challenge,
  code_challenge_method: "S256",
  resource: `${origin}/mcp`,
});
const address = `${metadata.authorization_endpoint}?${request}`;

/** Answers the question of the page, and returns what the program gets. */
async function answer(page, button, secret) {
  await page.getByLabel("Client id").fill(client);
  await page.getByLabel("API key").fill(secret);
  await page.getByRole("button", { name: button, exact: true }).click();
}

async function returned(page) {
  await page.waitForURL((url) => url.href.startsWith(redirect));
  const { searchParams } = new URL(page.url());
  equal([searchParams.get("state"), searchParams.get("iss")], ["the state", metadata.issuer], "state and iss");
  return searchParams;
}

await inBrowser(async (browser) => {
  const page = await newPage(browser, origin);
  await page.goto(address);
  ok(await page.getByText(new URL(redirect).host).first().isVisible(), "the page does not say where the login returns to");
  equal(await page.locator("main b").count(), 1, "the name of a program is text: only the address is bold");
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await accessible(page, `the login in ${colorScheme}`);
  }
  const { width, height } = page.viewportSize();
  await page.setViewportSize(PHONE);
  await fits(page, "the login on a phone");
  await page.setViewportSize({ width, height });

  await answer(page, "Let it in", "wrong");
  equal(await page.getByRole("alert").textContent(), "The client id or the API key is wrong.", "a wrong key");
  await answer(page, "Let it in", key);
  const code = (await returned(page)).get("code");
  const body = new URLSearchParams({ grant_type: "authorization_code", client_id, redirect_uri: redirect, code, code_verifier: verifier });
  const exchange = await fetch(metadata.token_endpoint, { method: "POST", body });
  const tokens = await exchange.json();
  ok(tokens.access_token && tokens.refresh_token, `no tokens: ${exchange.status}`);

  await page.goto(address);
  await page.getByRole("button", { name: "Deny" }).click();
  equal((await returned(page)).get("error"), "access_denied", "the answer of Deny");

  await page.goto(address);
  await page.getByRole("button", { name: "Let it in, signed in with Our <Company>" }).click();
  ok((await returned(page)).get("code"), "no code after the user has signed in");
  equal(await page.context().cookies(), [], "the cookies after a login");

  const others = [redirect, issuer].map((url) => `a request to ${new URL(url).origin}/`);
  const unexpected = page.wrong.filter((text) => !others.some((other) => text.startsWith(other)));
  equal(unexpected, [], "errors of the page and requests to other hosts");
});
callback.close();
