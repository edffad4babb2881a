"""aetcd, Python's client for asyncio, unmodified."""

import asyncio
import os

import aetcd
from own import Server
from tap import check, equal, finish

HOST, PORT = os.environ["SWITCHBOARD_ETCD"].rsplit(":", 1)
PATIENCE = 60


def with_client(run, host=HOST, port=PORT, **options):
    async def inner():
        async with aetcd.Client(host=host, port=int(port), **options) as client:
            await asyncio.wait_for(run(client), PATIENCE)

    return lambda: asyncio.run(inner())


async def refused(request, kind, words):
    try:
        await request
    except kind as error:
        assert words in str(error), f"expected {words!r}, found {error!r}"
    else:
        raise AssertionError(f"it is not refused: {words}")


async def until(what, found):
    async def inner():
        while not (last := await found()):
            await asyncio.sleep(0.02)
        return last

    try:
        return await asyncio.wait_for(inner(), PATIENCE)
    except asyncio.TimeoutError:
        raise AssertionError(f"never: {what}") from None


async def keys(client):
    equal(await client.get(b"aio/none"), None, "no key")
    await client.put(b"aio/a", b"1")
    put = await client.put(b"aio/a", b"2", prev_kv=True)
    equal(put.prev_kv.value, b"1", "before")
    found = await client.get(b"aio/a")
    equal((found.value, found.version, found.mod_revision), (b"2", 2, put.header.revision), "a key")
    equal(await client.replace(b"aio/a", b"2", b"3"), True, "replaced")
    equal(await client.replace(b"aio/a", b"2", b"4"), False, "not replaced")
    for name in (b"c", b"b"):
        await client.put(b"aio/" + name, name)
    found = await client.get_prefix(b"aio/", sort_order="descend", sort_target="create")
    equal(([kv.key for kv in found], found.more, found.count), ([b"aio/b", b"aio/c", b"aio/a"], False, 3), "sorted")
    found = await client.get_range(b"aio/a", b"aio/c", sort_order="ascend", sort_target="value")
    equal([kv.value for kv in found], [b"3", b"b"], "a range")
    found = await client.get_prefix(b"aio/", keys_only=True)
    equal([(kv.key, kv.value) for kv in found], [(b"aio/a", b""), (b"aio/b", b""), (b"aio/c", b"")], "keys only")
    equal((await client.delete(b"aio/a", prev_kv=True)).prev_kv.value, b"3", "deleted")
    equal((await client.delete_range(b"aio/b", b"aio/c")).deleted, 1, "deleted")
    equal((await client.delete_prefix(b"aio/", prev_kv=True)).prev_kvs[0].value, b"c", "deleted")
    await refused(client.put(b"", b""), aetcd.InvalidArgumentError, "etcdserver: key is not provided")


async def transactions(client):
    at = client.transactions
    put = await client.put(b"aio/t", b"m")
    revision = put.header.revision
    compare = [
        at.value(b"aio/t") == b"m", at.value(b"aio/t") > b"l", at.version(b"aio/t") == 1, at.create(b"aio/t") < revision + 1,
        at.mod(b"aio/t") != revision + 1, at.version(b"aio/none") == 0,
    ]
    inner = at.txn(compare=[at.version(b"aio/t") > 5], success=[], failure=[at.get(b"aio/t")])
    success = [at.put(b"aio/t", b"n", prev_kv=True), inner, at.get(b"aio/t"), at.delete(b"aio/none")]
    done, answers = await client.transaction(compare=compare, success=success, failure=[])
    assert done
    equal(answers[0].response_put.prev_kv.value, b"m", "before")
    equal(answers[2][0][0].value if hasattr(answers[2][0][0], "value") else answers[2][0][0], b"n", "what was put")
    done, _ = await client.transaction(compare=[at.version(b"aio/t") == 1], success=[at.put(b"aio/t", b"o")], failure=[])
    assert not done


async def leases(client):
    lease = await client.lease(60)
    await client.put(b"aio/l", b"1", lease=lease)
    equal(await lease.keys(), [b"aio/l"], "its keys")
    equal(await lease.granted_ttl(), 60, "granted")
    assert 0 < await lease.remaining_ttl() <= 60
    equal([it.TTL async for it in as_iterator(await lease.refresh())], [60], "renewed")
    await lease.revoke()
    equal(await client.get(b"aio/l"), None, "gone")
    equal((await client.get_lease_info(lease.id)).TTL, -1, "gone")
    await refused(lease.revoke(), aetcd.ClientError, "etcdserver: requested lease not found")
    mine = await client.lease(60, lease_id=4711)
    equal(mine.id, 4711, "its number")
    await refused(client.lease(60, lease_id=4711), aetcd.DuplicateLeaseError, "")
    await mine.revoke()


async def as_iterator(one):
    yield one


async def watches(client):
    first = (await client.put(b"aio/w", b"1")).header.revision
    every = await client.watch_prefix(b"aio/w", start_revision=first, prev_kv=True)
    deletes = await client.watch(b"aio/w", kind=aetcd.EventKind.DELETE)
    puts = await client.watch(b"aio/w", kind=aetcd.EventKind.PUT)
    await client.put(b"aio/w", b"2")
    await client.delete(b"aio/w")
    await client.put(b"aio/w", b"3")
    seen = []
    async for event in every:
        seen.append((event.kind, event.kv.value, event.prev_kv.value if event.prev_kv else None))
        if len(seen) == 4:
            await every.cancel()
    put, delete = aetcd.EventKind.PUT, aetcd.EventKind.DELETE
    equal(seen, [(put, b"1", b""), (put, b"2", b"1"), (delete, b"", b"2"), (put, b"3", b"")], "events")
    async for event in deletes:
        equal(event.kind, delete, "a delete")
        await deletes.cancel()
    values = []
    async for event in puts:
        values.append(event.kv.value)
        if len(values) == 2:
            await puts.cancel()
    equal(values, [b"2", b"3"], "puts")
    once = asyncio.create_task(client.watch_once(b"aio/w", timeout=PATIENCE, start_revision=first + 1))
    equal((await once).kv.value, b"2", "one event")
    await refused(client.watch_once(b"aio/quiet", timeout=0.2), aetcd.WatchTimeoutError, "")
    all_of_them = [await client.watch(f"aio/many/{i}".encode()) for i in range(50)]
    for i in range(50):
        await client.put(f"aio/many/{i}".encode(), str(i).encode())
    for i, one in enumerate(all_of_them):
        async for event in one:
            equal(event.kv.value, str(i).encode(), "the event of each")
            await one.cancel()


async def compacted(client):
    first = (await client.put(b"aio/c", b"1")).header.revision
    second = (await client.put(b"aio/c", b"2")).header.revision
    await client.compact(second, physical=True)
    watch = await client.watch(b"aio/c", start_revision=first)
    try:
        async for event in watch:
            raise AssertionError(f"an event: {event}")
    except aetcd.RevisionCompactedError as error:
        equal(error.compacted_revision, second, "compacted")
    # The same stream serves others on.
    event = await client.watch_once(b"aio/c", timeout=PATIENCE, start_revision=second)
    equal(event.kv.value, b"2", "what is left")


async def locks(client):
    inside, most = 0, 0

    async def work():
        nonlocal inside, most
        async with client.lock(b"aio/lock", ttl=30):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(8)))
    equal(most, 1, "who was inside at once")
    lock = client.lock(b"aio/short", ttl=2)
    assert await lock.acquire() and await lock.is_acquired()
    await lock.refresh()
    other = client.lock(b"aio/short", ttl=30)
    equal(await other.acquire(timeout=0), False, "at once")
    # Nobody renews the first.
    assert await other.acquire(timeout=PATIENCE)
    assert not await lock.is_acquired() and await other.release()


async def cluster(client):
    status = await client.status()
    equal(status.version.count("."), 2, status.version)
    members = [member async for member in client.members()]
    equal((len(members), members[0].id), (1, status.leader.id), "members")
    assert members[0].client_urls
    equal([alarm async for alarm in client.list_alarms()], [], "alarms")
    await client.defragment()
    equal(await client.hash(), await client.hash(), "hash")


def killed():
    with Server() as server:
        host, port = server.place.rsplit(":", 1)

        async def run(client):
            lease = await client.lease(30)
            await client.put(b"k", b"1", lease=lease)
            watch = await client.watch(b"k")
            server.kill()
            try:
                async for event in watch:
                    raise AssertionError(f"an event: {event}")
            except aetcd.ClientError:
                pass
            server.start()

            async def back():
                try:
                    return await client.get(b"k")
                except aetcd.ClientError:
                    return None

            equal((await until("an answer", back)).value, b"1", "what was there")
            again = await client.watch(b"k")
            await lease.revoke()
            async for event in again:
                equal(event.kind, aetcd.EventKind.DELETE, "its end")
                await again.cancel()

        with_client(run, host, port)()


def users():
    """This client only signs in: users are made by the gateway."""
    import json

    import requests

    with Server("etcd.bcrypt_cost=4") as server:
        for path, body in (
            ("user/add", {"name": "root", "password": "root"}), ("role/add", {"name": "root"}), ("user/grant", {"user": "root", "role": "root"}),
            ("user/add", {"name": "ann", "password": "secret"}), ("enable", {}),
        ):
            requests.post(f"http://{server.place}/v3/auth/{path}", data=json.dumps(body), timeout=30).raise_for_status()
        host, port = server.place.rsplit(":", 1)

        async def root(client):
            await client.put(b"a", b"1")
            event = await client.watch_once(b"a", timeout=PATIENCE, start_revision=1)
            equal(event.kv.value, b"1", "an event")

        async def ann(client):
            await refused(client.get(b"a"), aetcd.ClientError, "etcdserver: permission denied")

        with_client(root, host, port, username="root", password="root")()
        with_client(ann, host, port, username="ann", password="secret")()
        try:
            with_client(root, host, port, username="ann", password="wrong")()
        except Exception as error:
            assert "etcdserver: authentication failed, invalid user ID or password" in str(error), error
        else:
            raise AssertionError("a wrong password is taken")


for name, run in (
    ("keys and ranges", keys), ("transactions, nested", transactions), ("leases", leases), ("watches, many on one stream", watches),
    ("a watch of what was compacted", compacted), ("locks", locks), ("cluster and maintenance", cluster),
):
    check(name, with_client(run))
check("keys, leases and watches over a server that was killed", killed)
check("users", users)
finish()
