/** The fixture with a real scheduler. MCP_SCHEDULER names the binary. */

import { Webhook } from "standardwebhooks";
import { expect, vi } from "vitest";

import { SchedulerError, startScheduler } from "../src/index.js";
import { test } from "../src/vitest.js";

const DAY = 24 * 60 * 60 * 1000;

test("a reminder arrives when the clock is turned", async ({ scheduler }) => {
  await scheduler.schedule("Invoice 17 is due", { delay: "P4D" });
  await scheduler.schedule("later", { delay: "P9D" });
  const began = await scheduler.now();
  expect((await scheduler.advance("P3D")).attempts.success).toBe(0);
  expect(await scheduler.arrivals()).toEqual([]);

  const turned = await scheduler.advance("P2D");
  expect([turned.attempts.success, turned.pending]).toEqual([1, 1]);
  expect(turned.now.getTime() - began.getTime()).toBeGreaterThanOrEqual(5 * DAY);
  const [arrival] = await scheduler.arrivals();
  expect(arrival).toMatchObject({ text: "Invoice 17 is due", latenessMs: 0, attempt: 1 });
  expect(arrival?.receivedAt).toEqual(arrival?.scheduledTime);
  await scheduler.clear();
  expect(await scheduler.arrivals()).toEqual([]);
});

test("the official library verifies after the turn", async ({ scheduler }) => {
  await scheduler.schedule("hello", { delay: "P30D", endpoint: `${scheduler.inbox}/hook` });
  await scheduler.advance("P30D");
  const [arrival] = await scheduler.arrivals();
  const verified = new Webhook(scheduler.signingSecret).verify(arrival!.body, arrival!.headers);
  expect([verified, arrival!.path]).toEqual([expect.objectContaining({ conversationText: "hello" }), "/dev/inbox/hook"]);
});

test("a conversation is known by its id", async ({ scheduler }) => {
  const id = await scheduler.schedule("hello", { recurrence: { cron: "0 9 * * *", timeZone: "Asia/Tokyo" } });
  await scheduler.advance("P7D");
  expect(await scheduler.status(id)).toMatchObject({ status: "Scheduled" });
  const hours = (await scheduler.arrivals()).map((arrival) => arrival.scheduledTime.getUTCHours());
  expect(hours).toEqual(Array(7).fill(0));
});

test("a turn in parts is one turn, and a clock that stands still is an error", async ({ scheduler }) => {
  const attempts = { success: 2, failure: 0, permanentFailure: 0, unknown: 0 };
  const answer = { now: "2030-01-01T09:00:00.000Z", attempts, pending: 1 };
  const call = vi.spyOn(scheduler, "call");
  call.mockResolvedValueOnce({ ...answer, rest: "P2D", stoppedBy: "time" }).mockResolvedValueOnce(answer);
  expect((await scheduler.advance("P3D")).attempts.success).toBe(4);
  expect(call).toHaveBeenLastCalledWith("POST", "/dev/clock", { advance: "P2D" });
  call.mockResolvedValueOnce({ ...answer, rest: "P1D", stoppedBy: "loop" });
  await expect(scheduler.advance("P1D")).rejects.toThrow("stands still at 2030-01-01T09:00:00.000Z, with P1D left");
});

test("a wrong request is explained", async ({ scheduler }) => {
  await expect(scheduler.advance("P1M")).rejects.toThrow("use days");
  await expect(scheduler.schedule("hello", { delay: "1h", endpoint: "nowhere" })).rejects.toThrow("endpoint");
  await expect(startScheduler("no-such-binary")).rejects.toThrow(SchedulerError);
  await expect(startScheduler("no-such-binary")).rejects.toThrow("set MCP_SCHEDULER");
});
