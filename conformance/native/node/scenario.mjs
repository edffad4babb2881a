// The article's scenario in Node: fetch, and the EventSource of the `eventsource` package, which reconnects and sends
// Last-Event-ID by itself, as a browser does.
import assert from "node:assert/strict";
import { EventSource } from "eventsource";

const base = process.env.SWITCHBOARD_URL;
const article = '{"service":"user-service","host":"192.168.1.100","port":8080,"metadata":{"version":"v1.2","region":"east"},"ttl":30}';
const articleId = "user-service-192.168.1.100-8080";
const patience = 15_000;
let failed = false;

async function check(name, run) {
  try {
    const result = await run();
    console.log(`ok - ${name}`);
    return result;
  } catch (error) {
    failed = true;
    console.log(`not ok - ${name}: ${String(error.message ?? error).replaceAll("\n", " ")}`);
  }
}

async function call(method, path, body, status = 200) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  const response = await fetch(base + path, { method, body, headers, signal: AbortSignal.timeout(patience) });
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path} answered ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const register = (body) => call("POST", "/v1/register", typeof body === "string" ? body : JSON.stringify(body));
const watched = (port) => ({ service: "watched-by-node", host: "127.0.0.1", port });

// The next changes of an EventSource, as many as asked for. Listens from the moment it is called.
function changes(source, count) {
  const { promise, resolve, reject } = withResolvers();
  const found = [];
  const timer = setTimeout(() => reject(new Error(`${found.length} of ${count} changes in time`)), patience);
  const listen = (event) => {
    found.push({ lastEventId: event.lastEventId, ...JSON.parse(event.data) });
    if (found.length === count) {
      clearTimeout(timer);
      source.removeEventListener("change", listen);
      resolve(found);
    }
  };
  source.addEventListener("change", listen);
  return promise;
}

// Promise.withResolvers, which Node has from 22 on.
function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

await check("register the article's JSON", async () => {
  const said = await register(article);
  assert.equal(said.status, "success");
  assert.equal(said.id, articleId);
});

await check("look up", async () => {
  const { instances } = await call("GET", "/v1/services/user-service");
  assert.equal(instances.length, 1);
  assert.deepEqual([instances[0].id, instances[0].host, instances[0].port], [articleId, "192.168.1.100", 8080]);
});

await check("renew", async () => {
  const said = await register({ service: "leased-by-node", host: "127.0.0.1", port: 9, ttl: 30 });
  assert.equal((await call("PUT", said.renew)).ttl, 30);
});

const seen = await check("watch live", async () => {
  const { revision } = await register({ service: "other-of-node", host: "127.0.0.1", port: 1 });
  const source = new EventSource(`${base}/v1/watch?service=watched-by-node&since=${revision}`);
  try {
    const coming = changes(source, 2);
    const first = await register(watched(1));
    const second = await register(watched(2));
    const found = await coming;
    assert.deepEqual(found.map((change) => [change.kind, change.id]), [["registered", first.id], ["registered", second.id]]);
    assert.deepEqual(found.map((change) => change.lastEventId), [first, second].map((said) => String(said.revision)));
    return { last: found[1].lastEventId, id: second.id };
  } finally {
    source.close();
  }
});

await check("resume with Last-Event-ID", async () => {
  await call("DELETE", `/v1/instances/${seen.id}`);
  const resumed = (url, init) => fetch(url, { ...init, headers: { ...init.headers, "Last-Event-ID": seen.last } });
  const source = new EventSource(`${base}/v1/watch?service=watched-by-node`, { fetch: resumed });
  try {
    const [change] = await changes(source, 1);
    assert.deepEqual([change.kind, change.id], ["deregistered", seen.id]);
  } finally {
    source.close();
  }
});

await check("deregister", async () => {
  await call("DELETE", `/v1/instances/${articleId}`);
  assert.deepEqual((await call("GET", "/v1/services/user-service")).instances, []);
});

await check("an unknown instance is not found", () => call("GET", "/v1/instances/nobody", undefined, 404));

process.exit(failed ? 1 : 0);
