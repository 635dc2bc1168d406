// A receiver without a secret: it verifies deliveries with the public keys of the client. It needs Node alone.
// WEBHOOK_KEYS_URL='https://…/.well-known/webhook-keys.json?client=…' PORT=8080 node receiver-public-key.mjs
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";

const FIVE_MINUTES = 300; // in seconds

async function publicKeys() {
  const response = await fetch(process.env.WEBHOOK_KEYS_URL);
  const { keys } = await response.json();
  return keys.map((key) => createPublicKey({ key, format: "jwk" }));
}

let keys = await publicKeys();
// The keys change when the operator changes the master secret. While the service cannot be reached, the old keys stay.
setInterval(async () => (keys = await publicKeys().catch(() => keys)), FIVE_MINUTES * 1000).unref();

function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!(age < FIVE_MINUTES)) return false; // also if the timestamp is no number
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  return signatures.split(" ").some((entry) => {
    const [version, text = ""] = entry.split(",");
    const signature = Buffer.from(text, "base64");
    return version === "v1a" && keys.some((key) => verify(null, signed, key, signature));
  });
}

// A restart loses this set. In production, write the id to a table, in one transaction with the work.
const received = new Set();

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (!isSigned(request.headers, Buffer.concat(chunks))) {
    return response.writeHead(401).end("not signed for our client, or too old");
  }
  const id = request.headers["webhook-id"];
  if (received.has(id)) return response.writeHead(200).end("already received");
  // The work: what the conversation asks for.
  received.add(id);
  response.writeHead(200).end("received");
});

server.listen(process.env.PORT ?? 8080, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
