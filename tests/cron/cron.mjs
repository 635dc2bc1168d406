// Asks a package for the next times of cron expressions: node cron.mjs croner|cron-parser
//
// Each line of the input is an expression, the name of a zone, and seconds since 1970, with tabs between them. The first
// line of the output is the release of the IANA database in Node. Each other line has the five times after that instant,
// as seconds since 1970, or "refused".
import { readFileSync } from "node:fs";
import { CronExpressionParser } from "cron-parser";
import { Cron } from "croner";

const COUNT = 5;

const packages = {
  croner(expression, timezone, start) {
    return new Cron(expression, { timezone, paused: true }).nextRuns(COUNT, start);
  },
  "cron-parser"(expression, tz, currentDate) {
    const times = CronExpressionParser.parse(expression, { tz, currentDate });
    const found = [];
    // An expression that never fires is accepted, and next() throws.
    try {
      while (found.length < COUNT) found.push(times.next().toDate());
    } catch {}
    return found;
  },
};

const next = packages[process.argv[2]];
const out = [process.versions.tz];
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const [expression, zone, start] = line.split("\t");
  try {
    out.push(next(expression, zone, new Date(Number(start) * 1000)).map((at) => at.getTime() / 1000).join(" "));
  } catch {
    out.push("refused");
  }
}
console.log(out.join("\n"));
