// A receiver of deliveries: npm install standardwebhooks
// WEBHOOK_SECRET=whsec_… PORT=8080 node receiver.mjs
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
// A restart loses this set. In production, write the id to a table, in one transaction with the work.
const received = new Set();

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  try {
    webhook.verify(body, request.headers, { jsonParse: false });
  } catch {
    return response.writeHead(401).end("not signed with our secret, or too old");
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
