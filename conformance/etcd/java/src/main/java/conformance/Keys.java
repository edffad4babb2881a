package conformance;

import static conformance.Check.bytes;
import static conformance.Check.check;
import static conformance.Check.equal;
import static conformance.Check.get;
import static conformance.Check.holds;
import static conformance.Check.refused;
import static conformance.Check.shown;
import static conformance.Check.text;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.kv.GetResponse;
import io.etcd.jetcd.kv.TxnResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.CompactOption;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** KV, KVNamespace and Txn. */
final class Keys {
    private static final GetOption GET = GetOption.DEFAULT;

    static void run(String endpoint) {
        Client client = Client.builder().endpoints(endpoint).maxInboundMessageSize(16 << 20).build();
        KV kv = client.getKVClient();
        check("keys: put, previous values, versions, deleted", () -> keys(kv));
        check("ranges: prefix, sorted, limited, counted, keys only, at a revision, by revisions", () -> ranges(kv));
        check("many at once, and large values", () -> many(kv));
        check("compaction", () -> compaction(kv));
        check("namespaces: keys, transactions, watches, leases", () -> namespaces(client, endpoint));
        check("transactions: every target, nested, both branches, refused", () -> transactions(kv));
        client.close();
    }

    private static void keys(KV kv) throws Exception {
        ByteSequence key = bytes("kv/a");
        equal(get(kv.get(key)).getCount(), 0L);
        long first = get(kv.put(key, bytes("1"))).getHeader().getRevision();
        equal(text(get(kv.put(key, bytes("2"), PutOption.builder().withPrevKV().build())).getPrevKv().getValue()), "1");
        KeyValue found = get(kv.get(key)).getKvs().get(0);
        equal(List.of(text(found.getValue()), found.getVersion(), found.getCreateRevision()), List.of("2", 2L, first));
        holds(found.getModRevision() > first, found.getModRevision());
        refused(() -> kv.put(bytes(""), bytes("1")), "etcdserver: key is not provided");
        refused(() -> kv.put(key, bytes("1"), PutOption.builder().withLeaseId(4711).build()), "etcdserver: requested lease not found");
        DeleteOption before = DeleteOption.builder().withPrevKV(true).build();
        equal(text(get(kv.delete(key, before)).getPrevKvs().get(0).getValue()), "2");
        equal(get(kv.delete(key)).getDeleted(), 0L);
        ByteSequence odd = ByteSequence.from(new byte[] {0, (byte) 255, (byte) 128});
        get(kv.put(odd, odd));
        equal(get(kv.get(odd)).getKvs().get(0).getValue(), odd);
        equal(get(kv.delete(odd)).getDeleted(), 1L);
    }

    private static void ranges(KV kv) throws Exception {
        for (String name : List.of("c", "a", "b", "d")) {
            get(kv.put(bytes("range/" + name), bytes(name)));
        }
        ByteSequence all = bytes("range/");
        GetOption.Builder prefix = GetOption.builder().isPrefix(true);
        equal(shown(get(kv.get(all, prefix.build()))), "range/a=a range/b=b range/c=c range/d=d");
        GetOption latest = GetOption.builder().isPrefix(true).withSortField(GetOption.SortTarget.CREATE)
            .withSortOrder(GetOption.SortOrder.DESCEND).withLimit(2).build();
        GetResponse some = get(kv.get(all, latest));
        equal(shown(some) + some.isMore() + some.getCount(), "range/d=d range/b=btrue4");
        equal(get(kv.get(all, GetOption.builder().isPrefix(true).withCountOnly(true).build())).getCount(), 4L);
        GetOption keysOnly = GetOption.builder().withRange(bytes("range/c")).withKeysOnly(true).withSerializable(true).build();
        equal(shown(get(kv.get(bytes("range/b"), keysOnly))), "range/b=");
        long now = get(kv.get(all)).getHeader().getRevision();
        get(kv.put(bytes("range/a"), bytes("new")));
        equal(shown(get(kv.get(bytes("range/a"), GetOption.builder().withRevision(now).build()))), "range/a=a");
        equal(shown(get(kv.get(all, GetOption.builder().isPrefix(true).withMinModRevision(now + 1).build()))), "range/a=new");
        equal(get(kv.get(all, GetOption.builder().isPrefix(true).withMaxModRevision(now).build())).getKvs().size(), 3);
        equal(get(kv.get(all, GetOption.builder().isPrefix(true).withMinCreateRevision(now).build())).getKvs().size(), 1);
        refused(() -> kv.get(all, GetOption.builder().withRevision(now + 100_000).build()), "mvcc: required revision is a future revision");
        equal(get(kv.delete(bytes("range/a"), DeleteOption.builder().withRange(bytes("range/c")).build())).getDeleted(), 2L);
        equal(get(kv.delete(all, DeleteOption.builder().isPrefix(true).build())).getDeleted(), 2L);
    }

    private static void many(KV kv) throws Exception {
        List<CompletableFuture<?>> all = new ArrayList<>();
        for (int i = 0; i < 2_000; i++) {
            all.add(kv.put(bytes("many/" + i), bytes("v" + i)));
        }
        for (CompletableFuture<?> one : all) {
            get(one);
        }
        equal(get(kv.get(bytes("many/"), GetOption.builder().isPrefix(true).withCountOnly(true).build())).getCount(), 2_000L);
        ByteSequence large = bytes("x".repeat(1 << 20));
        for (int i = 0; i < 8; i++) {
            get(kv.put(bytes("large/" + i), large));
        }
        equal(get(kv.get(bytes("large/"), GetOption.builder().isPrefix(true).build())).getKvs().get(7).getValue().size(), 1 << 20);
        refused(() -> kv.put(bytes("large"), bytes("x".repeat(1_600_000))), "etcdserver: request is too large");
        equal(get(kv.delete(bytes("large/"), DeleteOption.builder().isPrefix(true).build())).getDeleted(), 8L);
    }

    private static void compaction(KV kv) throws Exception {
        long first = get(kv.put(bytes("compact"), bytes("1"))).getHeader().getRevision();
        long second = get(kv.put(bytes("compact"), bytes("2"))).getHeader().getRevision();
        get(kv.compact(second, CompactOption.builder().withCompactPhysical(true).build()));
        refused(() -> kv.get(bytes("compact"), GetOption.builder().withRevision(first).build()), "mvcc: required revision has been compacted");
        refused(() -> kv.compact(first), "mvcc: required revision has been compacted");
        refused(() -> kv.compact(second + 100_000), "mvcc: required revision is a future revision");
        equal(shown(get(kv.get(bytes("compact"), GetOption.builder().withRevision(second).build()))), "compact=2");
    }

    private static void namespaces(Client outside, String endpoint) throws Exception {
        try (Client client = Client.builder().endpoints(endpoint).namespace(bytes("space/")).build()) {
            KV kv = client.getKVClient();
            Told told = new Told();
            client.getWatchClient().watch(bytes(""), WatchOption.builder().isPrefix(true).withCreateNotify(true).withPrevKV(true).build(), told);
            Check.until("the watch", () -> told.created);
            get(kv.put(bytes("a"), bytes("1")));
            get(kv.put(bytes("b"), bytes("2")));
            equal(shown(get(outside.getKVClient().get(bytes("space/a")))), "space/a=1");
            equal(shown(get(kv.get(bytes(""), GetOption.builder().isPrefix(true).build()))), "a=1 b=2");
            equal(shown(get(kv.get(bytes("b"), GetOption.builder().withRange(bytes("\0")).build()))), "b=2");
            Cmp there = new Cmp(bytes("a"), Cmp.Op.EQUAL, CmpTarget.value(bytes("1")));
            TxnResponse done = get(kv.txn().If(there).Then(Op.get(bytes("a"), GET), Op.delete(bytes("a"), DeleteOption.DEFAULT)).commit());
            equal(shown(done.getGetResponses().get(0)), "a=1");
            long lease = get(client.getLeaseClient().grant(60)).getID();
            get(kv.put(bytes("b"), bytes("3"), PutOption.builder().withLeaseId(lease).withPrevKV().build()));
            get(client.getLeaseClient().revoke(lease));
            told.await(5);
            equal(told.events, List.of("PUT a=1", "PUT b=2", "DELETE a= was 1", "PUT b=3 was 2", "DELETE b= was 3"));
            String held = text(get(client.getLockClient().lock(bytes("lock"), get(client.getLeaseClient().grant(60)).getID())).getKey());
            holds(held.startsWith("lock/"), held);
            holds(shown(get(outside.getKVClient().get(bytes("space/lock"), GetOption.builder().isPrefix(true).build()))).startsWith("space/lock/"), held);
            get(client.getLockClient().unlock(bytes(held)));
        }
    }

    private static void transactions(KV kv) throws Exception {
        ByteSequence a = bytes("txn/a");
        ByteSequence b = bytes("txn/b");
        long created = get(kv.put(a, bytes("m"))).getHeader().getRevision();
        Cmp[] all = {
            new Cmp(a, Cmp.Op.EQUAL, CmpTarget.value(bytes("m"))), new Cmp(a, Cmp.Op.GREATER, CmpTarget.value(bytes("l"))),
            new Cmp(a, Cmp.Op.EQUAL, CmpTarget.createRevision(created)), new Cmp(a, Cmp.Op.EQUAL, CmpTarget.modRevision(created)),
            new Cmp(a, Cmp.Op.NOT_EQUAL, CmpTarget.version(2)), new Cmp(b, Cmp.Op.EQUAL, CmpTarget.version(0)),
            new Cmp(b, Cmp.Op.LESS, CmpTarget.createRevision(1)),
        };
        Op inner = Op.txn(new Cmp[] {new Cmp(a, Cmp.Op.EQUAL, CmpTarget.value(bytes("n")))}, new Op[] {Op.put(b, bytes("inner"), PutOption.DEFAULT)},
            new Op[] {Op.get(a, GET)});
        TxnResponse yes = get(kv.txn().If(all).Then(Op.put(a, bytes("n"), PutOption.builder().withPrevKV().build()), inner,
            Op.get(bytes("txn/"), GetOption.builder().isPrefix(true).build())).Else(Op.delete(a, DeleteOption.DEFAULT)).commit());
        holds(yes.isSucceeded(), "it has to succeed");
        equal(text(yes.getPutResponses().get(0).getPrevKv().getValue()), "m");
        // A nested transaction compares with what was there before the outer one.
        holds(!yes.getTxnResponses().get(0).isSucceeded(), "the inner one sees what the outer one put");
        equal(shown(yes.getGetResponses().get(0)), "txn/a=n");
        TxnResponse no = get(kv.txn().If(new Cmp(a, Cmp.Op.GREATER, CmpTarget.version(99))).Then(Op.delete(a, DeleteOption.DEFAULT))
            .Else(Op.get(a, GET)).commit());
        equal(no.isSucceeded() + shown(no.getGetResponses().get(0)), "falsetxn/a=n");
        refused(() -> kv.txn().Then(Op.put(a, a, PutOption.DEFAULT), Op.put(a, b, PutOption.DEFAULT)).commit(),
            "etcdserver: duplicate key given in txn request");
        Op[] tooMany = new Op[129];
        for (int i = 0; i < tooMany.length; i++) {
            tooMany[i] = Op.get(a, GET);
        }
        refused(() -> kv.txn().Then(tooMany).commit(), "etcdserver: too many operations in txn request");
    }

    private Keys() {}
}
