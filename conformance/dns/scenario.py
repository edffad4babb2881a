"""DNS as its users have it: the article's dig, and dnspython, over instances that came in through other protocols."""

import os
import shutil
import subprocess

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename
import httpx
from tap import check, equal, finish, skip

HOST, PORT = os.environ["SWITCHBOARD_DNS"].rsplit(":", 1)
native = httpx.Client(base_url=os.environ["SWITCHBOARD_URL"], timeout=15, trust_env=False)
consul = httpx.Client(base_url=os.environ["SWITCHBOARD_CONSUL_URL"], timeout=15, trust_env=False)
WAIT = 15


def ask(name, rdtype="A", *, edns=1232, over=dns.query.udp, options=()):
    query = dns.message.make_query(name, rdtype, use_edns=False if edns is None else 0, payload=edns or 0, options=options)
    return over(query, HOST, timeout=WAIT, port=int(PORT))


def records(section):
    return sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in section for rdata in rrset)


def answers(name, rdtype="A", **how):
    return sorted(str(rdata) for rrset in ask(name, rdtype, **how).answer for rdata in rrset)


def put(path, body=None):
    response = consul.put(path, json=body)
    equal(response.status_code, 200, f"PUT {path}: {response.text}")


def dig(*words):
    command = ["dig", f"@{HOST}", "-p", PORT, f"+time={WAIT}", "+tries=1", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def register():
    for number, tags in [(100, ["v1", "primary"]), (101, ["v2"])]:
        put("/v1/agent/service/register", {
            "ID": f"web-{number}", "Name": "user-service", "Address": f"192.168.1.{number}", "Port": 8080, "Tags": tags,
        })
    put("/v1/catalog/register", {
        "Node": "db-host", "Address": "10.0.0.9", "NodeMeta": {"rack": "r1"},
        "Service": {"ID": "db-1", "Service": "db", "Port": 5432, "Weights": {"Passing": 7, "Warning": 1}},
    })


def article():
    equal(sorted(dig("user-service.service.consul", "+short").split()), ["192.168.1.100", "192.168.1.101"], "addresses")
    said = dig("user-service.service.consul")
    for part in ["status: NOERROR", "qr aa rd", "ANSWER: 2", "EDNS: version: 0"]:
        if part not in said:
            raise AssertionError(f"{part!r} is not in {said}")
    found = dig("user-service.service.consul", "SRV", "+short").splitlines()
    equal(sorted(found), ["1 1 8080 c0a80164.addr.dc1.consul.", "1 1 8080 c0a80165.addr.dc1.consul."], "SRV")
    equal(dig("-x", "192.168.1.100", "+short").split(), ["user-service.service.dc1.consul."], "reverse")
    equal(dig("user-service.service.consul", "+short", "+tcp", "+noedns").count("\n"), 2, "addresses over TCP")


def services():
    both = ["192.168.1.100", "192.168.1.101"]
    for name in ["user-service.service.consul", "User-Service.SERVICE.dc1.consul", "_user-service._tcp.service.consul"]:
        for over in (dns.query.udp, dns.query.tcp):
            equal(answers(name, over=over), both, name)
    for name in ["v1.user-service.service.consul", "primary.user-service.service.dc1.consul", "_user-service._v1.service.consul"]:
        equal(answers(name), both[:1], name)
    equal(answers("_user-service._v2.consul", "SRV"), ["1 1 8080 c0a80165.addr.dc1.consul."], "SRV without service")
    equal(answers("c0a80164.addr.dc1.consul"), both[:1], "an address spelled out")


def targets():
    said = ask("db.service.consul", "SRV")
    equal(records(said.answer), ["db.service.consul. SRV 1 7 5432 db-host.node.dc1.consul."], "answer")
    glue = ["db-host.node.dc1.consul. A 10.0.0.9", 'db-host.node.dc1.consul. TXT "rack=r1"']
    equal(records(said.additional), glue, "additional")


def nodes():
    equal(answers("db-host.node.consul"), ["10.0.0.9"], "address")
    equal(answers("DB-HOST.node.dc1.consul", "TXT"), ['"rack=r1"'], "metadata")
    equal(str(answers(dns.reversename.from_address("10.0.0.9"), "PTR")[0]), "db-host.node.dc1.consul.", "reverse")


def zone():
    soa = ask("consul", "SOA").answer[0][0]
    equal((str(soa.mname), str(soa.rname)), ("ns.consul.", "hostmaster.consul."), "SOA")
    said = ask("any.thing.consul", "NS")
    equal(str(said.answer[0].name), "consul.", "owner")
    equal(said.additional[0].name, said.answer[0][0].target, "the glue is about the server")


def negative():
    for name, rdtype, rcode in [
        ("nobody.service.consul", "A", dns.rcode.NXDOMAIN),
        ("user-service.service.dc2.consul", "A", dns.rcode.NXDOMAIN),
        ("user-service.service.consul", "AAAA", dns.rcode.NOERROR),
        ("service.consul", "A", dns.rcode.NOERROR),
    ]:
        said = ask(name, rdtype)
        equal(said.rcode(), rcode, f"{name} {rdtype}")
        equal((said.answer, str(said.authority[0].name)), ([], "consul."), f"SOA of {name}")
    equal(ask("example.com").rcode(), dns.rcode.REFUSED, "outside")
    equal(ask("consul", "IXFR").rcode(), dns.rcode.NOTIMP, "transfer")


def sizes():
    for number in range(60):
        native.post("/v1/register", json={"service": "many", "host": f"10.1.0.{number}", "port": 80}).raise_for_status()
    equal(len(answers("many.service.consul", edns=None)), 3, "answers without EDNS")
    equal(len(answers("many.service.consul")), 60, "answers with EDNS")
    said = ask("many.service.consul", "SRV", edns=None, over=dns.query.tcp)
    equal((len(said.answer[0]), len(said.additional)), (60, 60), "over TCP")
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    echoed = ask("many.service.consul", options=[subnet]).options
    equal([(it.address, it.srclen, it.scopelen) for it in echoed], [("192.0.2.0", 24, 0)], "the client's subnet")
    first = {ask("many.service.consul", edns=None).answer[0][0].address for _ in range(40)}
    if len(first) < 5:
        raise AssertionError(f"always the same ones first: {first}")


def other_protocols():
    body = {"service": "api", "namespace": "shop", "host": "10.2.0.1", "ports": [{"name": "http", "port": 80}, {"name": "metrics", "port": 9100}]}
    said = native.post("/v1/register", json=body)
    equal(said.status_code, 200, said.text)
    equal(answers("api.shop.svc.switchboard"), ["10.2.0.1"], "address")
    equal(answers("_metrics._tcp.api.shop.svc.switchboard", "SRV"), ["1 1 9100 0a020001.addr.switchboard."], "named port")
    equal(answers("user-service.svc.switchboard"), ["192.168.1.100", "192.168.1.101"], "registered through Consul")


def health():
    put("/v1/agent/check/register", {"Name": "ttl", "ID": "ttl", "ServiceID": "web-101", "TTL": "1h", "Status": "passing"})
    for state, count in [("warn", 2), ("fail", 1), ("pass", 2)]:
        put(f"/v1/agent/check/{state}/ttl")
        equal(len(answers("user-service.service.consul")), count, f"instances after {state}")
    put("/v1/agent/service/maintenance/web-101?enable=true")
    equal(answers("user-service.service.consul"), ["192.168.1.100"], "instances under maintenance")
    put("/v1/agent/service/deregister/web-101")
    put("/v1/agent/service/deregister/web-100")
    equal(ask("user-service.service.consul").rcode(), dns.rcode.NXDOMAIN, "without any")


def resolver():
    stub = dns.resolver.Resolver(configure=False)
    stub.nameservers, stub.port, stub.lifetime = [HOST], int(PORT), WAIT
    equal([str(it) for it in stub.resolve("db.service.consul", "A")], ["10.0.0.9"], "address")
    equal([it.port for it in stub.resolve("db.service.consul", "SRV")], [5432], "port")
    try:
        stub.resolve("nobody.service.consul", "A")
    except dns.resolver.NXDOMAIN:
        return
    raise AssertionError("a name that nobody has was found")


check("register over HTTP", register)
if shutil.which("dig"):
    check("the article's dig", article)
else:
    skip("the article's dig", "dig is not installed")
check("services, tags, RFC 2782", services)
check("targets with their addresses", targets)
check("nodes", nodes)
check("SOA and NS", zone)
check("negative answers", negative)
check("sizes, order, the client's subnet", sizes)
check("instances of other protocols", other_protocols)
check("a stub resolver", resolver)
check("health", health)
finish()
