// etcd for Node: the `etcd3` package, unmodified.
//
// Some checks kill a server, turn users on or want TLS; those start servers of their own.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import etcd3 from "etcd3";

const { Etcd3, Range } = etcd3;
// Far longer than anything here takes, on any machine.
const patience = 60_000;
const shared = new Etcd3({ hosts: `http://${process.env.SWITCHBOARD_ETCD}` });
let failed = false;

async function check(name, run) {
  try {
    await Promise.race([run(), sleep(patience, undefined, { ref: false }).then(() => assert.fail("it never ended"))]);
    console.log(`ok - ${name}`);
  } catch (error) {
    failed = true;
    console.log(`not ok - ${name}: ${String(error?.stack ?? error).replaceAll("\n", " ").slice(0, 700)}`);
  }
}

/** A server of its own, that can be killed and comes back on the same port. */
class Server {
  constructor(...more) {
    this.folder = mkdtempSync(join(process.env.SWITCHBOARD_CONFORMANCE_DIR, "etcd-node-"));
    this.place = "127.0.0.1:0";
    this.more = more;
  }

  async start() {
    const ports = join(this.folder, "ports");
    rmSync(ports, { force: true });
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SWITCHBOARD_")));
    const options = ["serve", "--only", "etcd", "--data-dir", join(this.folder, "data"), "--port-file", ports, "--listen", `etcd=${this.place}`];
    const binary = process.env.SWITCHBOARD_BINARY;
    this.child = spawn(binary, [...options, ...this.more.flatMap((one) => ["--set", one])], { env, stdio: "ignore" });
    await until("a server", () => existsSync(ports) && readFileSync(ports, "utf8").includes("etcd="));
    this.place = readFileSync(ports, "utf8").match(/etcd=(\S+)/)[1];
    return this;
  }

  client(options) {
    return new Etcd3({ hosts: `http://${this.place}`, ...options });
  }

  async kill() {
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }

  async remove() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function alone(settings, run) {
  const server = await new Server(...settings).start();
  try {
    await run(server);
  } finally {
    await server.remove();
  }
}

async function until(what, found) {
  const end = Date.now() + patience;
  for (;;) {
    // Clients fail while their server is away.
    const last = await Promise.resolve().then(found).catch(() => undefined);
    if (last) return last;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(30);
  }
}

/** Everything that a watcher is told, in order. */
function told(watcher) {
  const events = [];
  watcher.on("put", (kv, before) => events.push(["put", String(kv.key), String(kv.value), before ? String(before.value) : null]));
  watcher.on("delete", (kv, before) => events.push(["delete", String(kv.key), before ? String(before.value) : null]));
  watcher.on("error", (error) => events.push(["error", error.message]));
  return events;
}

await check("keys: text, bytes, JSON, numbers, what was there before", async () => {
  const keys = shared.namespace("kv/");
  assert.equal(await keys.get("a"), null);
  await keys.put("a").value("1");
  assert.equal(await keys.get("a").string(), "1");
  assert.equal(await keys.get("a").number(), 1);
  const bytes = Buffer.from([0, 255, 128, 10]);
  await keys.put(bytes).value(bytes);
  assert.deepEqual(await keys.get(bytes).buffer(), bytes);
  await keys.put("json").value(JSON.stringify({ a: [1] }));
  assert.deepEqual(await keys.get("json").json(), { a: [1] });
  assert.equal((await keys.put("a").value("2").getPrevious()).value.toString(), "1");
  await keys.put("a").touch();
  assert.deepEqual([await keys.get("a"), await keys.get("a").exists(), await keys.get("b").exists()], ["2", true, false]);
  const { kvs: [one] } = await keys.get("a").exec();
  assert.deepEqual([one.version, BigInt(one.mod_revision) > BigInt(one.create_revision), one.lease], ["3", true, "0"]);
  assert.deepEqual((await keys.delete().key("a").getPrevious()).map((kv) => String(kv.value)), ["2"]);
  assert.equal((await keys.delete().key("a").exec()).deleted, "0");
  await assert.rejects(keys.put("none").touch(), /etcdserver: key not found/);
});

await check("ranges: prefix, half open, sorted, limited, counted, at a revision", async () => {
  const keys = shared.namespace("range/");
  for (const [at, name] of ["c", "a", "b", "d"].entries()) await keys.put(name).value(at);
  assert.deepEqual(await keys.getAll().numbers(), { a: 1, b: 2, c: 0, d: 3 });
  assert.deepEqual(await keys.getAll().inRange({ start: "b", end: "d" }).keys(), ["b", "c"]);
  assert.deepEqual(await keys.getAll().inRange({ prefix: "c" }).strings(), { c: "0" });
  assert.equal(await keys.getAll().count(), 4);
  assert.deepEqual(await keys.getAll().sort("Create", "Descend").limit(2).keys(), ["d", "b"]);
  assert.deepEqual(await keys.getAll().sort("Value", "Ascend").keys(), ["c", "a", "b", "d"]);
  const { header: { revision } } = await keys.get("a").exec();
  await keys.put("a").value("new");
  assert.equal(await keys.get("a").revision(revision), "1");
  assert.deepEqual(await keys.getAll().minModRevision(Number(revision) + 1).keys(), ["a"]);
  assert.deepEqual(await keys.getAll().maxCreateRevision(Number(revision)).serializable(true).count(), 4);
  const cut = await keys.getAll().limit(3).exec();
  assert.deepEqual([cut.more, cut.count, cut.kvs.length], [true, "4", 3]);
  assert.equal((await keys.delete().range(new Range("range/a", "range/c")).exec()).deleted, "0");
  assert.equal((await keys.delete().inRange({ start: "a", end: "c" }).exec()).deleted, "2");
  assert.equal((await keys.delete().all().exec()).deleted, "2");
});

await check("namespaces within namespaces", async () => {
  const inner = shared.namespace("outer/").namespace("inner/");
  await inner.put("k").value("v");
  assert.equal(await shared.get("outer/inner/k"), "v");
  assert.deepEqual(await shared.namespace("outer/").getAll(), { "inner/k": "v" });
  const watcher = await inner.watch().prefix("").create();
  const events = told(watcher);
  await inner.delete().all();
  await until("an event", () => events.length === 1);
  assert.deepEqual(events, [["delete", "k", null]]);
  await watcher.cancel();
});

await check("transactions: every target, both branches", async () => {
  const keys = shared.namespace("txn/");
  await keys.put("a").value("m");
  const { kvs: [{ mod_revision: mod, create_revision: created }] } = await keys.get("a").exec();
  const yes = await keys.if("a", "Value", "==", "m").and("a", "Mod", "==", mod).and("a", "Create", "<", Number(created) + 1)
    .and("a", "Version", "!=", 2).and("a", "Value", ">", "l").and("a", "Lease", "==", 0).and("none", "Create", "==", 0)
    .then(keys.put("a").value("n"), keys.get("a"), keys.getAll().prefix("a"), keys.delete().key("none")).else(keys.delete().all()).commit();
  assert.deepEqual([yes.succeeded, yes.responses.map((one) => one.response)],
    [true, ["response_put", "response_range", "response_range", "response_delete_range"]]);
  assert.equal(String(yes.responses[1].response_range.kvs[0].value), "n");
  const no = await keys.if("a", "Version", "==", 1).then(keys.put("a").value("o")).else(keys.get("a")).commit();
  assert.deepEqual([no.succeeded, String(no.responses[0].response_range.kvs[0].value)], [false, "n"]);
  await assert.rejects(keys.if("a", "Version", ">", 0).then(keys.put("a").value("1"), keys.put("a").value("2")).commit(),
    /etcdserver: duplicate key given in txn request/);
});

await check("software transactions: each isolation, and none of many increments is lost", async () => {
  const keys = shared.namespace("stm/");
  for (const isolation of [0, 1, 2]) {
    await keys.put("n").value(0);
    const add = () => keys.stm({ isolation, retries: 50 }).transact(async (tx) => tx.put("n").value((await tx.get("n").number()) + 1));
    await Promise.all(Array.from({ length: 8 }, add));
    assert.equal(await keys.get("n").number(), 8, `isolation ${isolation}`);
  }
  const moved = keys.stm({ isolation: 3, prefetch: ["n"] });
  await moved.transact(async (tx) => {
    await tx.put("m").value(await tx.get("n"));
    await tx.delete().key("n");
  });
  assert.deepEqual(await keys.getAll(), { m: "8" });
});

await check("locks: one at a time, and free when let go", async () => {
  let inside = 0;
  const held = shared.lock("lock/one");
  await held.ttl(5).acquire();
  await assert.rejects(shared.lock("lock/one").acquire(), etcd3.EtcdLockFailedError);
  await held.release();
  await shared.lock("lock/one").do(async () => inside++);
  assert.equal(inside, 1);
  assert.equal(await shared.get("lock/one"), null);
});

await check("leases: kept alive, attached, revoked, and told when they are lost", async () => {
  const lease = shared.lease(5);
  const lost = once(lease, "lost");
  await lease.put("lease/a").value("1");
  await once(lease, "keepaliveSucceeded");
  // Longer than it lives by itself.
  await sleep(6_000);
  assert.equal(await shared.get("lease/a"), "1");
  const { kvs: [{ lease: attached }] } = await shared.get("lease/a").exec();
  assert.equal(attached, await lease.grant());
  const there = await shared.leaseClient.leaseTimeToLive({ ID: attached, keys: true });
  assert.deepEqual([there.grantedTTL, there.keys.map(String)], ["5", ["lease/a"]]);
  await shared.put("lease/a").value("2").ignoreLease();
  assert.equal((await shared.get("lease/a").exec()).kvs[0].lease, attached);
  // Somebody else ends it: the next keepalive is told so.
  await shared.leaseClient.leaseRevoke({ ID: attached });
  const [error] = await lost;
  assert.ok(error instanceof etcd3.EtcdLeaseInvalidError, String(error));
  assert.equal(await shared.get("lease/a"), null);
  await assert.rejects(shared.put("lease/b").value("").lease(attached), etcd3.EtcdLeaseInvalidError);
});

await check("a lease that nobody renews ends, and its puts and keepalives say so", async () => {
  const lease = shared.lease(2, { autoKeepAlive: false });
  await lease.put("lease/silent").value("1");
  assert.equal((await lease.keepaliveOnce()).TTL, "2");
  await until("its end", async () => (await shared.get("lease/silent")) === null);
  await assert.rejects(lease.put("lease/silent").value("2").exec(), etcd3.EtcdLeaseInvalidError);
  await assert.rejects(lease.keepaliveOnce(), etcd3.EtcdLeaseInvalidError);
  const gone = await shared.leaseClient.leaseTimeToLive({ ID: await lease.grant() });
  assert.equal(gone.TTL, "-1");
});

await check("watches: previous values, one kind only, from a revision, many, ended", async () => {
  const keys = shared.namespace("watch/");
  const { header: { revision } } = await keys.put("a").value("1").exec();
  const all = await keys.watch().prefix("").withPreviousKV().startRevision(revision).create();
  // What has happened already may be told at once.
  const every = told(all);
  const [deletes, puts, one] = [keys.watch().prefix("").only("delete"), keys.watch().prefix("").only("put"), keys.watch().key("b")];
  const watchers = [all, ...await Promise.all([deletes.create(), puts.create(), one.create()])];
  assert.equal(new Set(watchers.map((watcher) => watcher.id)).size, 4);
  const [gone, came, single] = watchers.slice(1).map(told);
  await keys.put("a").value("2");
  await keys.delete().key("a");
  await keys.put("b").value("3");
  await until("all events", () => every.length === 4 && gone.length === 1 && came.length === 2 && single.length === 1);
  assert.deepEqual(every, [["put", "a", "1", null], ["put", "a", "2", "1"], ["delete", "a", "2"], ["put", "b", "3", null]]);
  assert.deepEqual(gone, [["delete", "a", null]]);
  await Promise.all(watchers.map((watcher) => watcher.cancel()));
  await keys.put("b").value("4");
  const again = await keys.watch().key("b").create();
  const later = told(again);
  await keys.put("b").value("5");
  await until("an event of the new one", () => later.length === 1);
  assert.equal(single.length, 1);
  await again.cancel();
});

await check("a watch of what was compacted is an error", async () => {
  const { header: { revision } } = await shared.put("compact").value("1").exec();
  await shared.put("compact").value("2");
  const { header: { revision: now } } = await shared.put("compact").value("3").exec();
  await shared.kv.compact({ revision: now, physical: true });
  const watcher = await shared.watch().key("compact").startRevision(revision).create();
  const [error] = await once(watcher, "error");
  assert.match(error.message, /^Watcher canceled/);
  await assert.rejects(shared.get("compact").revision(revision).exec(), /mvcc: required revision has been compacted/);
  await assert.rejects(shared.get("compact").revision(Number(now) + 100_000).exec(), /mvcc: required revision is a future revision/);
});

await check("elections: one leads, others wait, observers hear it", async () => {
  const election = shared.election("leader", 5);
  const first = election.campaign("one");
  await first.wait();
  // This client may miss what happens between two of its own watches: nobody is awaited before there is a leader.
  const other = new Etcd3({ hosts: `http://${process.env.SWITCHBOARD_ETCD}` });
  const observer = await other.election("leader").observe();
  const heard = [];
  observer.on("change", (leader) => heard.push(leader));
  const second = election.campaign("two");
  const won = second.wait();
  await until("the first leader", () => observer.leader() === "one");
  await first.proclaim("uno");
  await until("its new word", () => observer.leader() === "uno");
  assert.equal(await Promise.race([won, sleep(100).then(() => "waits")]), "waits");
  await first.resign();
  await won;
  await until("the second leader", () => observer.leader() === "two");
  assert.equal(await election.leader(), "two");
  await assert.rejects(first.proclaim("again"), etcd3.NotCampaigningError);
  await second.resign();
  other.close();
  assert.ok(heard.includes("uno") && heard.includes("two"), heard.join());
});

await check("cluster and maintenance", async () => {
  const { members: [member] } = await shared.cluster.memberList({});
  assert.ok(member.clientURLs.length, JSON.stringify(member));
  const status = await shared.maintenance.status();
  assert.match(status.version, /^3\.\d+\.\d+$/);
  assert.equal(status.leader, member.ID);
  assert.deepEqual((await shared.maintenance.alarm({ action: "Get", memberID: 0, alarm: "None" })).alarms, []);
  await shared.maintenance.defragment();
  assert.equal((await shared.maintenance.hash()).hash, (await shared.maintenance.hash()).hash);
});

await check("leases, locks and watches outlive a server that was killed", () => alone([], async (server) => {
  const client = server.client();
  const lease = client.lease(30);
  await lease.put("there").value("1");
  const watcher = await client.watch().prefix("").create();
  const events = told(watcher);
  await client.put("before").value("1");
  await until("an event", () => events.length === 1);
  const away = once(watcher, "disconnected");
  await server.kill();
  await away;
  const back = once(watcher, "connected");
  await server.start();
  await until("an answer", () => client.put("after").value("2").exec());
  await back;
  await until("what happened meanwhile", () => events.some(([, key]) => key === "after"));
  assert.deepEqual(events.map(([, key]) => key).slice(0, 2), ["before", "after"]);
  assert.equal(String((await lease.keepaliveOnce()).TTL), "30");
  assert.equal(await client.get("there"), "1");
  await lease.revoke();
  await until("its end", () => events.some(([kind, key]) => kind === "delete" && key === "there"));
  await watcher.cancel();
  client.close();
}));

await check("users and roles: refused, allowed, and signed in again when a token has ended", () =>
  alone(["etcd.auth_token_ttl=\"1s\"", "etcd.bcrypt_cost=4"], async (server) => {
    const open = server.client();
    const role = await open.role("reader").create();
    await assert.rejects(open.role("reader").create(), etcd3.EtcdRoleExistsError);
    await role.grant({ permission: "Read", range: Range.prefix("seen/") });
    await role.grant({ permission: "Readwrite", key: "own" });
    const [first, second] = await role.permissions();
    assert.deepEqual([first.permission, String(first.range.start), second.permission, String(second.range.end)].sort(),
      ["Read", "Readwrite", String(first.range.start), String(second.range.end)].sort());
    const user = await open.user("ann").create("secret");
    await assert.rejects(open.user("ann").create("x"), etcd3.EtcdUserExistsError);
    await assert.rejects(open.user("bob").delete(), etcd3.EtcdUserNotFoundError);
    await assert.rejects(user.addRole("none"), etcd3.EtcdRoleNotFoundError);
    await assert.rejects(user.removeRole("reader"), etcd3.EtcdRoleNotGrantedError);
    await user.addRole("reader");
    await open.user("root").create("root");
    await (await open.role("root").create()).addUser("root");
    assert.deepEqual([(await user.roles()).map((one) => one.name), (await open.getUsers()).map((one) => one.name)], [["reader"], ["ann", "root"]]);
    await open.auth.authEnable();
    const root = server.client({ auth: { username: "root", password: "root" } });
    const asAnn = { auth: { username: "ann", password: "secret" } };
    const ann = server.client(asAnn);
    await assert.rejects(open.get("own").exec(), /etcdserver: user name is empty/);
    await assert.rejects(server.client({ auth: { username: "ann", password: "no" } }).get("own").exec(), etcd3.EtcdAuthenticationFailedError);
    await root.put("seen/a").value("1");
    assert.equal(await ann.get("seen/a"), "1");
    await assert.rejects(ann.put("seen/a").value("2").exec(), etcd3.EtcdPermissionDeniedError);
    await assert.rejects(ann.get("hidden").exec(), etcd3.EtcdPermissionDeniedError);
    // After a refusal this client starts no other watch on that stream.
    await assert.rejects(server.client(asAnn).watch().key("hidden").create(), etcd3.EtcdPermissionDeniedError);
    const watcher = await ann.watch().prefix("seen/").create();
    const events = told(watcher);
    // Longer than a token lasts.
    await sleep(2_500);
    await root.put("seen/b").value("3");
    await ann.put("own").value("mine");
    await until("what it may see", () => events.length === 1);
    await watcher.cancel();
    await server.kill();
    await server.start();
    await until("an answer after the restart", async () => (await ann.get("own")) === "mine");
    await until("root's", () => root.auth.authDisable());
    assert.equal(await open.get("own"), "mine");
  }));

await check("TLS with a certificate of the client's", async () => {
  const folder = mkdtempSync(join(process.env.SWITCHBOARD_CONFORMANCE_DIR, "etcd-node-tls-"));
  const file = (name) => join(folder, name);
  const made = (name, ...more) => execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-days", "2", "-subj", `/CN=${name}`, "-keyout", file(`${name}.key`), "-out", file(`${name}.pem`), ...more], { stdio: "ignore" });
  made("authority");
  const signed = ["-CA", file("authority.pem"), "-CAkey", file("authority.key"), "-addext", "basicConstraints=critical,CA:false"];
  for (const name of ["server", "ann"]) made(name, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", ...signed);
  const tls = `etcd.tls={ certificate = "${file("server.pem")}", key = "${file("server.key")}", client_ca = "${file("authority.pem")}" }`;
  await alone([tls], async (server) => {
    const hosts = `https://localhost:${server.place.split(":")[1]}`;
    const [rootCertificate, privateKey, certChain] = ["authority.pem", "ann.key", "ann.pem"].map((name) => readFileSync(file(name)));
    const client = new Etcd3({ hosts, credentials: { rootCertificate, privateKey, certChain } });
    await client.put("a").value("secret");
    assert.equal(await client.get("a"), "secret");
    const without = new Etcd3({ hosts, credentials: { rootCertificate } });
    await assert.rejects(without.get("a").exec());
  });
  rmSync(folder, { recursive: true, force: true });
});

process.exit(failed ? 1 : 0);
