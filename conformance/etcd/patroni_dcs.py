"""Patroni's own class for etcd, unmodified, used as its loop uses it: by two members of a PostgreSQL cluster that there is not."""

import json
import logging
import os
import time

import requests
from own import Server, until
from patroni.dcs import get_dcs
from tap import check, equal, finish

SHARED = os.environ["SWITCHBOARD_ETCD"]
# Seconds until a member that is silent has lost its leadership.
TTL = 8


class Errors(logging.Handler):
    """What Patroni complains about: in quiet times nothing, but that it breaks its watch itself when it was refused something."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.said = []

    def emit(self, record):
        said = record.getMessage()
        if not said.startswith("watchprefix failed: ProtocolError("):
            self.said.append(said)


errors = Errors()
logging.getLogger("patroni").addHandler(errors)
logging.getLogger("patroni").propagate = False


def member(name, place, scope="batman", **more):
    etcd3 = {"hosts": place, **more}
    return get_dcs({"etcd3": etcd3, "scope": scope, "namespace": "/service/", "name": name, "ttl": TTL, "loop_wait": 1, "retry_timeout": 10})


def gateway(place, path, body, token=None):
    answer = requests.post(f"http://{place}/v3/{path}", data=json.dumps(body), headers={"Authorization": token} if token else {}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def data(name, state="running"):
    return {"conn_url": f"postgres://127.0.0.1/{name}", "api_url": f"http://127.0.0.1/{name}", "state": state, "role": "replica", "xlog_location": 1}


def quietly(run, *arguments):
    def checked():
        errors.said.clear()
        run(*arguments)
        equal(errors.said, [], "what Patroni complains about")

    return checked


def bootstrap(one, two):
    assert one.initialize(create_new=True), "the first has to win"
    assert not two.initialize(create_new=True), "the second may not"
    assert one.initialize(create_new=False, sysid="7420"), "its number"
    assert one.touch_member(data("one")) and two.touch_member(data("two")), "members"
    assert one.set_config_value(json.dumps({"ttl": TTL, "maximum_lag_on_failover": 1048576})), "configuration"
    assert one.take_leader(), "leadership"
    # What it sees, its watch has brought.
    cluster = until("the leader", lambda: (it := two.get_cluster()).leader and it)
    equal((cluster.initialize, cluster.leader.name, sorted(it.name for it in cluster.members)), ("7420", "one", ["one", "two"]), "cluster")
    equal(cluster.leader.session, one._lease, "whose lease it is")
    equal(cluster.config.data["ttl"], TTL, "configuration")
    equal([it.state for it in cluster.members], ["running", "running"], "states")


def loop(one, two):
    """Longer than a silent member leads."""
    for turn in range(TTL + 2):
        cluster = one.get_cluster()
        assert one.update_leader(cluster, 1000 + turn, {"slot": 900 + turn}, {"one": "http://127.0.0.1/one"}), "its leadership"
        assert one.touch_member(data("one")) and two.touch_member(data("two", "streaming" if turn % 2 else "running"))
        assert not two.attempt_to_acquire_leader(), "two lead"
        one.watch(None, 0.8)
    cluster = until("how far it is", lambda: (it := two.get_cluster()).status.last_lsn == 1000 + turn and it)
    equal((cluster.leader.name, cluster.status.slots["slot"]), ("one", 900 + turn), "who leads, and its slots")
    equal(cluster.failsafe, {"one": "http://127.0.0.1/one"}, "failsafe")


def woken(one, two):
    """A replica that waits for its next turn is woken when the leader steps down."""
    two.get_cluster()
    two.event.clear()
    leader = until("the leader", lambda: one.get_cluster().leader)
    assert one.delete_leader(leader, 2000), "stepping down"
    assert two.watch(leader.version, 30), "it sleeps on"
    until("no leader", lambda: two.get_cluster().leader is None)
    assert two.attempt_to_acquire_leader(), "it may lead"
    assert not one.attempt_to_acquire_leader(), "two lead"
    assert not one.delete_leader(leader), "somebody else's leadership"
    cluster = until("the leader", lambda: (it := two.get_cluster()).leader and it)
    equal((cluster.leader.name, cluster.status.last_lsn), ("two", 2000), "who leads now")
    assert two.update_leader(cluster, 2001)


def conditional(one, two):
    """What is written only over what was read."""
    assert one.manual_failover("two", "one"), "a failover"
    failover = until("the failover", lambda: two.get_cluster().failover)
    equal((failover.leader, failover.candidate), ("two", "one"), "who shall lead")
    assert not two.manual_failover("", "", version=str(int(failover.version) - 1)), "over another version"
    assert two.manual_failover("", "", version=failover.version), "over what was read"
    config = until("the configuration", lambda: two.get_cluster().config)
    assert one.set_config_value(json.dumps({"ttl": 30}), config.version), "configuration"
    assert not two.set_config_value("{}", config.version), "over what has changed"
    assert one.set_history_value(json.dumps([[1, 1000, "no recovery target specified"]])), "history"
    sync = one.write_sync_state("two", ["one"], 0)
    assert sync, "synchronous"
    assert not two.write_sync_state("one", ["two"], 0, version="1"), "over another version"
    assert two.write_sync_state("two", ["one", "three"], 0, version=sync.version), "over what was read"
    state = until("it", lambda: (it := one.get_cluster().sync).voters == ["one", "three"] and it)
    assert not one.delete_sync_state(version="1"), "another version"
    assert one.delete_sync_state(version=state.version), "what was read"
    equal(until("it", lambda: two.get_cluster().history).lines, [[1, 1000, "no recovery target specified"]], "history")


def lost_lease(one):
    """Its words for a lease that is gone tell Patroni to get another one."""
    gateway(SHARED, "lease/revoke", {"ID": one._lease})
    before = one._lease
    until("its member is gone", lambda: not one.get_cluster().has_member("one"))
    # Its loop believes in its lease for as long as it was renewed lately.
    one._last_lease_refresh = time.time()
    errors.said.clear()
    assert not one.touch_member(data("one")), "it is under a lease that is gone"
    equal(errors.said, ['Our lease disappeared from Etcd, can not "touch_member"'], "what is said")
    assert one.touch_member(data("one")), "under another one"
    assert one._lease != before
    until("it is there again", lambda: one.get_cluster().has_member("one"))


def silent(two, one):
    """A leader that says nothing any more has led, and who waits is told."""
    leader = until("the leader", lambda: one.get_cluster().leader)
    equal(leader.name, "two", "who leads")
    one.event.clear()
    began = time.monotonic()
    while not one.watch(leader.version, 1) and time.monotonic() - began < 60:
        assert one.touch_member(data("one"))
    until("no leader", lambda: one.get_cluster().leader is None)
    assert one.attempt_to_acquire_leader(), "it may lead"
    # Back again, it sees that it leads no longer, and that its lease is another.
    assert two.touch_member(data("two"))
    assert not two.attempt_to_acquire_leader(), "two lead"
    equal(until("the leader", lambda: two.get_cluster().leader).name, "one", "who leads")


def gone(one):
    assert one.cancel_initialization()
    assert until("no word of it", lambda: one.get_cluster().initialize is None)
    assert one.delete_cluster()
    until("nothing is left", lambda: one.get_cluster().is_empty())


def killed():
    """Leader, members and leases outlive a server that was killed; the watch begins anew."""
    with Server() as server:
        one, two = member("one", server.place), member("two", server.place)
        assert one.touch_member(data("one")) and two.touch_member(data("two")) and one.attempt_to_acquire_leader()
        lease, seen = one._lease, until("the leader", lambda: (it := one.get_cluster()).leader and it)
        for turn in range(2):
            server.kill()
            server.start()
            assert one.update_leader(seen, 3000 + turn), "its leadership"
            equal(one._lease, lease, "its lease")
            assert one.touch_member(data("one")) and two.touch_member(data("two", f"turn {turn}"))
            found = until("news by the new watch", lambda: any(it.state == f"turn {turn}" for it in one.get_cluster().members) and one.get_cluster())
            equal((found.leader.name, found.leader.session), ("one", lease), "who leads")
        assert not two.attempt_to_acquire_leader(), "two lead"


def guarded():
    """Users on: its user is let in, tokens that have ended are replaced, others are refused in words that it knows."""
    with Server('etcd.auth_token_ttl="1s"', "etcd.bcrypt_cost=4") as server:
        place = server.place
        early = member("early", place, username="patroni", password="secret")
        equal(early._client._token, None, "a token, though users are off")
        for body in ({"name": "root", "password": "root"}, {"name": "patroni", "password": "secret"}, {"name": "other", "password": "secret"}):
            gateway(place, "auth/user/add", body)
        for role, user in (("root", "root"), ("patroni", "patroni")):
            gateway(place, "auth/role/add", {"name": role})
            gateway(place, "auth/user/grant", {"user": user, "role": role})
        # "/service/" up to "/service0".
        gateway(place, "auth/role/grant", {"name": "patroni", "perm": {"permType": "READWRITE", "key": "L3NlcnZpY2Uv", "range_end": "L3NlcnZpY2Uw"}})
        gateway(place, "auth/enable", {})
        # It had no token, and is told to get one.
        assert early.touch_member(data("early")), "signed in later"
        one = member("one", place, username="patroni", password="secret")
        assert one.touch_member(data("one")) and one.attempt_to_acquire_leader()
        until("the leader", lambda: one.get_cluster().leader)
        for turn in range(3):
            # Longer than a token lasts.
            time.sleep(1.6)
            assert one.update_leader(one.get_cluster(), 1000 + turn), "with another token"
            assert early.touch_member(data("early", f"turn {turn}")), "with another token"
            until("news by the watch", lambda: any(it.state == f"turn {turn}" for it in one.get_cluster().members))
        # What changes users ends no token's worth.
        root = gateway(place, "auth/authenticate", {"name": "root", "password": "root"})["token"]
        gateway(place, "auth/role/add", {"name": "more"}, root)
        assert one.update_leader(one.get_cluster(), 2000), "after users have changed"
        server.kill()
        server.start()
        assert one.update_leader(one.get_cluster(), 3000), "after a restart"
        try:
            member("three", place, username="patroni", password="wrong")
        except SystemExit as end:
            equal(end.code, 1, "Patroni gives up")
        else:
            raise AssertionError("a wrong password is taken")
        root = gateway(place, "auth/authenticate", {"name": "root", "password": "root"})["token"]
        gateway(place, "auth/disable", {}, root)
        assert one.update_leader(one.get_cluster(), 4000), "users off again"


def main():
    one, two = member("one", SHARED), member("two", SHARED)
    check("a cluster begins: one initializes it, both are members, one leads", quietly(bootstrap, one, two))
    check("its loop: who leads goes on leading, with status, slots and failsafe", quietly(loop, one, two))
    check("a replica that waits is woken when the leader steps down, and leads", quietly(woken, one, two))
    check("failover, configuration, history and synchronous state, each over what was read", quietly(conditional, one, two))
    check("a lease that is gone is replaced", lost_lease, one)
    check("a silent leader leads no longer", silent, two, one)
    check("a cluster is deleted", quietly(gone, one))
    check("a server that is killed takes nobody's leadership", killed)
    check("users: signed in, signed in again, refused", guarded)
    finish()


main()
