// The clients of the service, for an operator.

import { clients } from "../api.js";
import { useLoad } from "../load.js";
import { Ago, Failure, Loading, Title } from "../parts.jsx";
import { link } from "../router.js";

const LIMIT = 100;

export function Clients({ query }) {
  const { cursor } = query;
  const { data, error, reload } = useLoad((signal) => clients({ cursor, limit: LIMIT }, signal), cursor ?? "");
  return (
    <>
      <Title text="Clients" />
      <p>
        <a href={link(["conversations"], { client: "*" })}>Conversations of all clients</a>
      </p>
      <Failure error={error} retry={reload} />
      {!data && !error && <Loading />}
      {data && (
        <table class="card list">
          <thead>
            <tr>
              <th scope="col">Client</th>
              <th scope="col">Scopes</th>
              <th scope="col">API keys</th>
              <th scope="col">Added</th>
            </tr>
          </thead>
          <tbody>
            {data.clients.map((it) => (
              <tr key={it.clientId}>
                <td>
                  <a href={link(["conversations"], { client: it.clientId })}>{it.clientId}</a>
                  {it.disabled && <span class="label">disabled</span>}
                  {it.isFirst && <span class="label">first client</span>}
                </td>
                <td data-name="Scopes">{it.scopes.join(", ")}</td>
                <td data-name="API keys">{it.keys}</td>
                <td data-name="Added">{it.createdTime ? <Ago time={it.createdTime} /> : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {data?.nextCursor && (
        <nav class="pages" aria-label="Pages">
          <a href={link(["clients"], { cursor: data.nextCursor })}>Next page</a>
        </nav>
      )}
    </>
  );
}
