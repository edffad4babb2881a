package conformance;

import static conformance.Check.bytes;
import static conformance.Check.check;
import static conformance.Check.equal;
import static conformance.Check.get;
import static conformance.Check.holds;
import static conformance.Check.refused;
import static conformance.Check.shown;
import static conformance.Check.text;
import static conformance.Check.until;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Lease;
import io.etcd.jetcd.Lock;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.election.LeaderResponse;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.lease.LeaseTimeToLiveResponse;
import io.etcd.jetcd.lock.LockResponse;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.support.CloseableClient;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;

/** Lease, Lock and Election. */
final class Coordination {
    static void run(String endpoint) {
        Client client = Client.builder().endpoints(endpoint).build();
        check("leases: granted, shown with keys, renewed once, revoked", () -> leases(client));
        check("leases: kept alive for longer than they live, and then not", () -> keptAlive(client));
        check("leases: told when they are gone", () -> gone(client));
        check("leases: kept alive over a server that was killed", Coordination::outlived);
        check("locks: one at a time, in order, free when let go or their lease ends", () -> locks(client));
        check("elections: campaign, proclaim, leader, observe, resign", () -> elections(client));
        check("elections: among many, each leads once", () -> many(client));
        client.close();
    }

    /** What a keepalive is told. */
    private static final class Renewals implements StreamObserver<LeaseKeepAliveResponse> {
        final List<Long> ttls = new CopyOnWriteArrayList<>();
        final CompletableFuture<Throwable> ended = new CompletableFuture<>();

        @Override
        public void onNext(LeaseKeepAliveResponse response) {
            ttls.add(response.getTTL());
        }

        @Override
        public void onError(Throwable error) {
            ended.complete(error);
        }

        @Override
        public void onCompleted() {
            ended.complete(null);
        }
    }

    private static PutOption under(long lease) {
        return PutOption.builder().withLeaseId(lease).build();
    }

    private static long granted(Client client, long seconds) throws Exception {
        return get(client.getLeaseClient().grant(seconds)).getID();
    }

    private static void leases(Client client) throws Exception {
        Lease leases = client.getLeaseClient();
        KV kv = client.getKVClient();
        long id = granted(client, 60);
        for (String name : List.of("b", "a")) {
            get(kv.put(bytes("lease/" + name), bytes("1"), under(id)));
        }
        LeaseTimeToLiveResponse shown = get(leases.timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
        equal(shown.getGrantedTTL(), 60L);
        holds(shown.getTTL() > 0 && shown.getTTL() <= 60, shown.getTTL());
        equal(shown.getKeys().stream().map(Check::text).sorted().toList(), List.of("lease/a", "lease/b"));
        equal(get(leases.timeToLive(id, LeaseOption.DEFAULT)).getKeys().size(), 0);
        equal(get(kv.get(bytes("lease/a"))).getKvs().get(0).getLease(), id);
        LeaseKeepAliveResponse renewed = get(leases.keepAliveOnce(id));
        equal(List.of(renewed.getID(), renewed.getTTL()), List.of(id, 60L));
        get(kv.put(bytes("lease/b"), bytes("2")));
        get(leases.revoke(id));
        equal(get(kv.get(bytes("lease/a"))).getCount(), 0L);
        equal(shown(get(kv.get(bytes("lease/b")))), "lease/b=2");
        equal(get(leases.timeToLive(id, LeaseOption.DEFAULT)).getTTL(), -1L);
        refused(() -> leases.revoke(id), "etcdserver: requested lease not found");
    }

    private static void keptAlive(Client client) throws Exception {
        KV kv = client.getKVClient();
        long id = granted(client, 5);
        get(kv.put(bytes("alive"), bytes("1"), under(id)));
        Renewals renewals = new Renewals();
        CloseableClient kept = client.getLeaseClient().keepAlive(id, renewals);
        Thread.sleep(6_000);
        equal(get(kv.get(bytes("alive"))).getCount(), 1L);
        holds(renewals.ttls.size() > 2 && renewals.ttls.stream().allMatch(ttl -> ttl == 5), renewals.ttls);
        kept.close();
        until("its end", () -> get(kv.get(bytes("alive"))).getCount() == 0);
    }

    private static void gone(Client client) throws Exception {
        long id = granted(client, 60);
        get(client.getLeaseClient().revoke(id));
        refused(() -> client.getLeaseClient().keepAliveOnce(id), "requested lease not found");
        Renewals renewals = new Renewals();
        client.getLeaseClient().keepAlive(id, renewals);
        Throwable error = get(renewals.ended);
        holds(error != null && error.toString().contains("requested lease not found"), error);
        // Many of them, on one stream.
        List<CloseableClient> all = new ArrayList<>();
        List<Renewals> told = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            told.add(new Renewals());
            all.add(client.getLeaseClient().keepAlive(granted(client, 30), told.get(i)));
        }
        until("an answer for each", () -> told.stream().noneMatch(one -> one.ttls.isEmpty()));
        all.forEach(CloseableClient::close);
    }

    private static void outlived() throws Exception {
        try (Server server = new Server(); Client client = server.builder().retryMaxDuration(Check.PATIENCE).build()) {
            KV kv = client.getKVClient();
            long id = granted(client, 10);
            get(kv.put(bytes("outlived"), bytes("1"), under(id)));
            Renewals renewals = new Renewals();
            client.getLeaseClient().keepAlive(id, renewals);
            until("a renewal", () -> !renewals.ttls.isEmpty());
            server.kill();
            server.start();
            int before = renewals.ttls.size();
            until("a renewal afterwards", () -> renewals.ttls.size() > before);
            equal(shown(get(kv.get(bytes("outlived")))), "outlived=1");
        }
    }

    private static void locks(Client client) throws Exception {
        Lock locks = client.getLockClient();
        long first = granted(client, 60);
        long second = granted(client, 60);
        long third = granted(client, 60);
        ByteSequence name = bytes("lock");
        ByteSequence held = get(locks.lock(name, first)).getKey();
        equal(text(held), "lock/" + Long.toHexString(first));
        // Who has it gets it again.
        equal(get(locks.lock(name, first)).getKey(), held);
        CompletableFuture<LockResponse> next = locks.lock(name, second);
        until("its place in the line", () -> get(client.getKVClient().get(bytes("lock/" + Long.toHexString(second)))).getCount() == 1);
        CompletableFuture<LockResponse> last = locks.lock(name, third);
        holds(!next.isDone(), "two have it");
        get(locks.unlock(held));
        held = get(next).getKey();
        holds(!last.isDone(), "two have it");
        get(client.getLeaseClient().revoke(second));
        equal(text(get(last).getKey()), "lock/" + Long.toHexString(third));
        get(locks.unlock(get(last).getKey()));
        equal(get(client.getKVClient().get(bytes("lock/" + Long.toHexString(third)))).getCount(), 0L);
        refused(() -> locks.lock(name, 4711), "etcdserver: requested lease not found");
        // Whose lease ends while it waits is told so when it is its turn.
        held = get(locks.lock(name, first)).getKey();
        long fourth = granted(client, 60);
        CompletableFuture<LockResponse> late = locks.lock(name, fourth);
        ByteSequence place = bytes("lock/" + Long.toHexString(fourth));
        until("its place in the line", () -> get(client.getKVClient().get(place)).getCount() == 1);
        get(client.getLeaseClient().revoke(fourth));
        get(locks.unlock(held));
        refused(() -> late, "mutex: session is expired");
    }

    /** What an observer is told. */
    private static final class Leaders implements Election.Listener {
        final List<String> values = new CopyOnWriteArrayList<>();

        @Override
        public void onNext(LeaderResponse response) {
            values.add(text(response.getKv().getValue()));
        }

        @Override
        public void onError(Throwable error) {
            values.add(error.toString());
        }

        @Override
        public void onCompleted() {}
    }

    private static void elections(Client client) throws Exception {
        Election elections = client.getElectionClient();
        ByteSequence name = bytes("elected");
        refused(() -> elections.leader(name), "NoLeaderException");
        Leaders leaders = new Leaders();
        elections.observe(name, leaders);
        long first = granted(client, 60);
        CampaignResponse won = get(elections.campaign(name, first, bytes("one")));
        equal(text(won.getLeader().getKey()), "elected/" + Long.toHexString(first));
        equal(List.of(won.getLeader().getLease(), text(won.getLeader().getName())), List.of(first, "elected"));
        equal(text(get(elections.leader(name)).getKv().getValue()), "one");
        until("the leader", () -> leaders.values.contains("one"));
        get(elections.proclaim(won.getLeader(), bytes("uno")));
        until("its new word", () -> leaders.values.contains("uno"));
        // Again by who leads: its new word.
        equal(get(elections.campaign(name, first, bytes("eins"))).getLeader().getRevision(), won.getLeader().getRevision());
        until("its next word", () -> leaders.values.contains("eins"));
        CompletableFuture<CampaignResponse> next = elections.campaign(name, granted(client, 60), bytes("two"));
        holds(!next.isDone(), "two lead");
        get(elections.resign(won.getLeader()));
        CampaignResponse second = get(next);
        until("the next leader", () -> leaders.values.contains("two"));
        equal(leaders.values, List.of("one", "uno", "eins", "two"));
        refused(() -> elections.proclaim(won.getLeader(), bytes("again")), "NotLeaderException");
        // Resigning twice is no error.
        get(elections.resign(won.getLeader()));
        equal(text(get(elections.leader(name)).getKv().getValue()), "two");
        get(elections.resign(second.getLeader()));
        refused(() -> elections.campaign(name, 4711, bytes("x")), "etcdserver: requested lease not found");
    }

    private static void many(Client client) throws Exception {
        List<CompletableFuture<String>> all = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            String me = "candidate " + i;
            all.add(client.getElectionClient().campaign(bytes("crowd"), granted(client, 60), bytes(me)).thenCompose(won ->
                client.getElectionClient().leader(bytes("crowd")).thenCompose(seen ->
                    client.getElectionClient().resign(won.getLeader()).thenApply(done -> me + text(seen.getKv().getValue())))));
        }
        for (int i = 0; i < 20; i++) {
            equal(get(all.get(i)), ("candidate " + i).repeat(2));
        }
    }

    private Coordination() {}
}
