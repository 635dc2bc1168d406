// Reads wall times with the Temporal polyfill, which asks the Intl of Node for the offsets.
//
// It reads lines from its input: the name of a zone, and below it wall times, which are seconds since 1970 as if they
// were UTC. Its first line is the release of the IANA database in Node. Then it prints the same lines, with the seconds
// since 1970 and "once", "gap" or "fold" after each wall time. A name that Intl does not have is printed with "unknown".
import { readFileSync } from "node:fs";
import { Temporal } from "@js-temporal/polyfill";

const lines = readFileSync(0, "utf8").trim().split("\n");
const out = [process.versions.tz];
let zone = null;
for (const line of lines) {
  if (!/^-?\d+$/.test(line)) {
    zone = line;
    try {
      Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
      out.push(zone);
    } catch {
      out.push(`${zone} unknown`);
      zone = null;
    }
    continue;
  }
  if (zone === null) continue;
  const wall = Temporal.Instant.fromEpochMilliseconds(Number(line) * 1000).toZonedDateTimeISO("UTC").toPlainDateTime();
  const read = wall.toZonedDateTime(zone, { disambiguation: "compatible" });
  const later = wall.toZonedDateTime(zone, { disambiguation: "later" });
  const isGap = !read.toPlainDateTime().equals(wall);
  const kind = isGap ? "gap" : read.epochMilliseconds === later.epochMilliseconds ? "once" : "fold";
  out.push(`${line} ${read.epochMilliseconds / 1000} ${kind}`);
}
console.log(out.join("\n"));
