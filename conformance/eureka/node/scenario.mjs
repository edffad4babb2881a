// eureka-js-client, unmodified: registers, renews, discovers, stops.
import assert from "node:assert/strict";
import { Eureka } from "eureka-js-client";

const url = new URL(process.env.SWITCHBOARD_EUREKA_URL);
const native = process.env.SWITCHBOARD_URL;
const patience = 30_000;
let failed = false;

async function check(name, run) {
  try {
    await run();
    console.log(`ok - ${name}`);
  } catch (error) {
    failed = true;
    console.log(`not ok - ${name}: ${String(error?.message ?? error).replaceAll("\n", " ")}`);
  }
}

async function until(what, found) {
  const deadline = Date.now() + patience;
  while (!(await found())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

function client(app, port) {
  return new Eureka({
    logger: quiet,
    instance: {
      app, hostName: "127.0.0.1", ipAddr: "127.0.0.1", vipAddress: app, port: { $: port, "@enabled": true },
      dataCenterInfo: { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", name: "MyOwn" },
    },
    eureka: {
      host: url.hostname, port: Number(url.port), servicePath: "/eureka/apps/", heartbeatInterval: 500,
      registryFetchInterval: 500, maxRetries: 1,
    },
  });
}

const started = (eureka) => new Promise((resolve, reject) => eureka.start((error) => (error ? reject(error) : resolve())));
const stopped = (eureka) => new Promise((resolve, reject) => eureka.stop((error) => (error ? reject(error) : resolve())));
const get = async (path) => (await fetch(native + path)).json();

await check("a client registers, renews, discovers and stops", async () => {
  const one = client("js-app", 9091);
  await started(one);
  const found = (await get("/v1/services/js-app")).instances;
  assert.deepEqual(found.map((i) => [i.host, i.port]), [["127.0.0.1", 9091]]);
  await fetch(`${native}/v1/register`, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ service: "Node-Reads-This", host: "10.0.0.1", port: 80 }),
  });
  await until("it knows it by application", () => one.getInstancesByAppId("NODE-READS-THIS").length === 1);
  assert.equal(one.getInstancesByVipAddress("Node-Reads-This")[0].ipAddr, "10.0.0.1");
  await stopped(one);
  assert.equal((await fetch(`${url.origin}/eureka/apps/JS-APP`)).status, 404);
});

process.exit(failed ? 1 : 0);
