/** The sign of the service: a clock. It stands beside its name, so it says nothing to a screen reader. */
export const Logo = ({ size }) => (
  <svg class="logo" viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M16 8v8.5l5.5 3.2" />
  </svg>
);
