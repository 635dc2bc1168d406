// A receiver of deliveries: npm install express standardwebhooks; npm install --save-dev tsx typescript @types/express
// WEBHOOK_SECRET=whsec_… PORT=8080 npx tsx receiver-express.ts
import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET ?? "");
// A restart loses this set. In production, write the id to a table, in one transaction with the work.
const received = new Set<string>();

const app = express();
// The bytes as they arrived: express.json() would have parsed them. The default limit of 100 kB is below the largest delivery.
app.use(express.raw({ type: () => true, limit: "2mb" }));

app.all("/", (request, response) => {
  const body: Buffer = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  try {
    webhook.verify(body, request.headers as Record<string, string>, { jsonParse: false });
  } catch {
    response.status(401).send("not signed with our secret, or too old");
    return;
  }
  const id = request.header("webhook-id") ?? "";
  if (received.has(id)) {
    response.send("already received");
    return;
  }
  // The work: what the conversation asks for.
  received.add(id);
  response.send("received");
});

const server = app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", (error) => {
  if (error) throw error;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  console.log(`listening on http://127.0.0.1:${port}`);
});
