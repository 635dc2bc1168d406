/** The fixture for vitest: each test that names `scheduler` has one of its own. */

import { test as base } from "vitest";

import { type Scheduler, startScheduler } from "./index.js";

export const test = base.extend<{ scheduler: Scheduler }>({
  // vitest reads the names of the fixtures in this pattern, so it must be there.
  scheduler: async ({}, use) => {
    const scheduler = await startScheduler();
    await use(scheduler);
    await scheduler.stop();
  },
});
