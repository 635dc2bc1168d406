// The time of the service. The clock of this machine may be wrong, so it is only used for differences.

let offset = 0;

/** Remembers how far the clock of the service is from this one. */
export function notice(serverTime) {
  offset = Date.parse(serverTime) - Date.now();
}

/** The time of the service in milliseconds. */
export const now = () => Date.now() + offset;
