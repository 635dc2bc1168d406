// The dashboard. It is a client of the API like any other: what it shows and does, every client can see and do.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "./style.css";
import { Shell } from "./shell.jsx";
import { usePlace } from "./router.js";
import { allows, current, onChange } from "./session.js";
import { Clients } from "./views/clients.jsx";
import { Conversation } from "./views/conversation.jsx";
import { List } from "./views/list.jsx";
import { LogIn } from "./views/login.jsx";
import { Overview } from "./views/overview.jsx";
import { Schedule } from "./views/schedule.jsx";

function App() {
  const { parts, query } = usePlace();
  const [session, change] = useState(current());
  useEffect(() => onChange(() => change(current())), []);
  if (!session) return <LogIn />;
  const [view, id] = parts;
  return (
    <Shell session={session} view={view}>
      {view === "conversations" && id ? (
        <Conversation key={id} id={id} client={query.client} />
      ) : view === "conversations" ? (
        <List key={JSON.stringify(query)} query={query} />
      ) : view === "schedule" ? (
        <Schedule />
      ) : view === "clients" && allows("operator") ? (
        <Clients query={query} />
      ) : (
        <Overview />
      )}
    </Shell>
  );
}

const place = document.getElementById("app");
place.replaceChildren();
render(<App />, place);
