// The frame around every view: navigation and logout.

import { Logo } from "./logo.jsx";
import { link } from "./router.js";
import { allows, logOut } from "./session.js";

export function Shell({ session, view = "", children }) {
  const places = [
    ["", "Overview"],
    ["conversations", "Conversations"],
    ...(allows("conversations:write") ? [["schedule", "Schedule"]] : []),
    ...(allows("operator") ? [["clients", "Clients"]] : []),
  ];
  return (
    <>
      <header class="bar">
        <a class="brand" href={link([])}>
          <Logo size={24} />
          <span>Scheduler</span>
        </a>
        <nav aria-label="Views">
          {places.map(([path, name]) => (
            <a key={path} href={link(path ? [path] : [])} aria-current={view === path ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <div class="who">
          <span title="The client that is logged in">{session.client}</span>
          <button type="button" class="quiet" onClick={logOut}>
            Log out
          </button>
        </div>
      </header>
      <main>{children}</main>
      <footer>
        <a href="docs">API documentation</a>
      </footer>
    </>
  );
}
