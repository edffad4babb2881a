// Consul for Node: the `consul` package, unmodified, registers, looks up, watches and locks.
import assert from "node:assert/strict";
import Consul from "consul";

const { hostname: host, port } = new URL(process.env.SWITCHBOARD_CONSUL_URL);
const consul = new Consul({ host, port: Number(port) });
// Far longer than anything here takes, on any machine.
const patience = 60_000;
let failed = false;

async function check(name, run) {
  try {
    await run();
    console.log(`ok - ${name}`);
  } catch (error) {
    failed = true;
    console.log(`not ok - ${name}: ${String(error.message ?? error).replaceAll("\n", " ")}`);
  }
}

const ids = (entries) => entries.map((entry) => entry.Service.ID).sort();
const passing = async (service) => ids(await consul.health.service({ service, passing: true }));

await check("register with checks of several kinds", async () => {
  const check = { ttl: "1h" };
  await consul.agent.service.register({
    name: "web", id: "web-1", tags: ["v1"], address: "10.0.0.1", port: 80, meta: { zone: "a" }, check,
  });
  const http = { http: "http://127.0.0.1:1/health", interval: "10s", timeout: "5s", deregistercriticalserviceafter: "90m" };
  const tcp = { tcp: `${host}:${port}`, interval: "1s", status: "passing" };
  await consul.agent.service.register({ name: "web", id: "web-2", checks: [http, tcp] });
  const services = await consul.agent.service.list();
  assert.deepEqual(Object.keys(services).sort(), ["web-1", "web-2"]);
  assert.deepEqual([services["web-1"].Tags, services["web-1"].Meta], [["v1"], { zone: "a" }]);
  const checks = await consul.agent.check.list();
  const kinds = Object.fromEntries(Object.entries(checks).map(([id, one]) => [id, one.Type]));
  assert.deepEqual(kinds, { "service:web-1": "ttl", "service:web-2:1": "http", "service:web-2:2": "tcp" });
});

await check("look up what passes", async () => {
  assert.deepEqual(await passing("web"), []);
  await consul.agent.check.pass({ id: "service:web-1", note: "fine" });
  assert.deepEqual(await passing("web"), ["web-1"]);
  const [node] = await consul.catalog.service.nodes({ service: "web", tag: "v1" });
  assert.deepEqual([node.ServiceID, node.ServiceAddress, node.ServicePort], ["web-1", "10.0.0.1", 80]);
  await consul.agent.check.fail("service:web-1");
  assert.deepEqual(await passing("web"), []);
});

await check("maintenance", async () => {
  await consul.agent.check.pass("service:web-1");
  await consul.agent.service.maintenance({ id: "web-1", enable: true, reason: "upgrade" });
  assert.deepEqual(await passing("web"), []);
  await consul.agent.service.maintenance({ id: "web-1", enable: false });
  assert.deepEqual(await passing("web"), ["web-1"]);
});

// The next value that a watch gives, until it is the one that is waited for.
function until(watch, wanted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("it was never seen")), patience);
    const end = (settle) => (value) => {
      clearTimeout(timer);
      settle(value);
    };
    watch.on("error", end(reject));
    watch.on("change", (data) => wanted(data) && end(resolve)());
  });
}

await check("a watch sees an instance come and go", async () => {
  const watch = consul.watch({ method: consul.health.service, options: { service: "watched" } });
  try {
    await until(watch, (data) => data.length === 0);
    const came = until(watch, (data) => data.length === 1);
    await consul.agent.service.register({ name: "watched", id: "watched-1" });
    await came;
    const went = until(watch, (data) => data.length === 0);
    await consul.agent.service.deregister("watched-1");
    await went;
  } finally {
    watch.end();
  }
});

await check("a session holds a lock", async () => {
  const [first, second] = await Promise.all([1, 2].map(() => consul.session.create({ ttl: "30s", lockdelay: "0s" })));
  // This client gives nothing where the answer is `false`.
  const acquire = async (session) => Boolean(await consul.kv.set({ key: "leader", value: session, acquire: session }));
  assert.equal(await acquire(first.ID), true);
  assert.equal(await acquire(second.ID), false);
  const held = await consul.kv.get("leader");
  assert.deepEqual([held.Session, held.Value, held.LockIndex], [first.ID, first.ID, 1]);
  const watch = consul.watch({ method: consul.kv.get, options: { key: "leader" } });
  try {
    await until(watch, (pair) => pair.Session === first.ID);
    const released = until(watch, (pair) => pair.Session === undefined);
    await consul.session.destroy(first.ID);
    await released;
  } finally {
    watch.end();
  }
  assert.equal(await acquire(second.ID), true);
  const [renewed] = await consul.session.renew(second.ID);
  assert.equal(renewed.ID, second.ID);
  assert.equal(await consul.kv.set({ key: "leader", value: "", release: second.ID }), true);
  await consul.session.destroy(second.ID);
  await consul.kv.del({ key: "leader" });
  assert.equal(await consul.kv.get("leader"), undefined);
});

await check("a transaction", async () => {
  const value = Buffer.from("here").toString("base64");
  const { Results: [{ KV }] } = await consul.transaction.create([{ KV: { Verb: "set", Key: "node/txn", Value: value } }]);
  assert.equal(KV.Key, "node/txn");
  assert.equal((await consul.kv.get("node/txn")).Value, "here");
  await consul.kv.del({ key: "node/", recurse: true });
});

await check("deregister", async () => {
  for (const id of ["web-1", "web-2"]) {
    await consul.agent.service.deregister(id);
  }
  assert.deepEqual(await consul.agent.service.list(), {});
  await assert.rejects(consul.agent.service.deregister("web-1"), (error) => error.statusCode === 404);
});

process.exit(failed ? 1 : 0);
