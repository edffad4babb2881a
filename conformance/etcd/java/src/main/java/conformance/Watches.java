package conformance;

import static conformance.Check.bytes;
import static conformance.Check.check;
import static conformance.Check.equal;
import static conformance.Check.get;
import static conformance.Check.holds;
import static conformance.Check.until;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.common.exception.CompactedException;
import io.etcd.jetcd.options.WatchOption;
import java.util.ArrayList;
import java.util.List;

/** Watch, WatchResume, WatchError. */
final class Watches {
    static void run(String endpoint) {
        Client client = Client.builder().endpoints(endpoint).build();
        check("watches: previous values, one kind only, prefix and range, from a revision", () -> kinds(client));
        check("watches: progress when it is asked for", () -> progress(client));
        check("watches: progress by itself", Watches::progressByItself);
        check("watches: what was compacted, what is empty, a leader", () -> errors(client));
        check("watches: closed one by one, and with their client", () -> closed(client, endpoint));
        check("watches: two hundred on one connection", () -> many(client));
        check("watches go on after their server was killed", Watches::resumed);
        client.close();
    }

    private static WatchOption.Builder prefix() {
        return WatchOption.builder().isPrefix(true);
    }

    private static Told watch(Client client, String key, WatchOption.Builder option) throws Exception {
        Told told = new Told();
        client.getWatchClient().watch(bytes(key), option.withCreateNotify(true).build(), told);
        until("the watch", () -> told.created);
        return told;
    }

    private static void kinds(Client client) throws Exception {
        KV kv = client.getKVClient();
        long first = get(kv.put(bytes("watch/a"), bytes("0"))).getHeader().getRevision();
        Told all = watch(client, "watch/", prefix().withPrevKV(true).withRevision(first));
        Told deletes = watch(client, "watch/", prefix().withNoPut(true));
        Told puts = watch(client, "watch/", prefix().withNoDelete(true));
        Told range = watch(client, "watch/b", WatchOption.builder().withRange(bytes("watch/c")));
        Told later = watch(client, "watch/", prefix().withRevision(first + 1_000));
        get(kv.put(bytes("watch/a"), bytes("1")));
        get(kv.delete(bytes("watch/a")));
        get(kv.put(bytes("watch/b"), bytes("2")));
        all.await(4);
        puts.await(2);
        range.await(1);
        deletes.await(1);
        equal(all.events, List.of("PUT watch/a=0", "PUT watch/a=1 was 0", "DELETE watch/a= was 1", "PUT watch/b=2"));
        equal(deletes.events, List.of("DELETE watch/a="));
        equal(puts.events, List.of("PUT watch/a=1", "PUT watch/b=2"));
        equal(range.events, List.of("PUT watch/b=2"));
        equal(all.revisions.stream().sorted().distinct().toList(), all.revisions);
        equal(later.events, List.of());
    }

    private static void progress(Client client) throws Exception {
        Told told = watch(client, "progress", WatchOption.builder());
        long now = get(client.getKVClient().put(bytes("elsewhere"), bytes("1"))).getHeader().getRevision();
        until("its progress", () -> {
            // One that is asked for while a watcher is behind is not answered.
            client.getWatchClient().requestProgress();
            return told.progress >= now;
        });
        equal(told.events, List.of());
    }

    private static void progressByItself() throws Exception {
        try (Server server = new Server("etcd.progress_interval=\"1s\""); Client client = server.builder().build()) {
            Told told = watch(client, "progress", WatchOption.builder().withProgressNotify(true));
            long now = get(client.getKVClient().put(bytes("elsewhere"), bytes("1"))).getHeader().getRevision();
            until("its progress", () -> told.progress >= now);
        }
    }

    private static void errors(Client client) throws Exception {
        KV kv = client.getKVClient();
        long first = get(kv.put(bytes("old"), bytes("1"))).getHeader().getRevision();
        long second = get(kv.put(bytes("old"), bytes("2"))).getHeader().getRevision();
        get(kv.compact(second));
        Told compacted = new Told();
        client.getWatchClient().watch(bytes("old"), WatchOption.builder().withRevision(first).build(), compacted);
        until("an error", () -> !compacted.errors.isEmpty());
        Throwable error = compacted.errors.get(0);
        holds(error instanceof CompactedException, error);
        equal(((CompactedException) error).getCompactedRevision(), second);
        // Just what is left.
        Told kept = watch(client, "old", WatchOption.builder().withRevision(second));
        kept.await(1);
        equal(kept.events, List.of("PUT old=2"));
        Told nothing = new Told();
        client.getWatchClient().watch(bytes("b"), WatchOption.builder().withRange(bytes("a")).build(), nothing);
        until("a refusal", () -> !nothing.errors.isEmpty());
        // The client's own words.
        holds(nothing.errors.get(0).getMessage().contains("failed to create watch id"), nothing.errors);
        Told led = watch(client, "led", WatchOption.builder().withRequireLeader(true));
        get(kv.put(bytes("led"), bytes("1")));
        led.await(1);
    }

    private static void closed(Client client, String endpoint) throws Exception {
        Told told = new Told();
        Watch.Watcher watcher = client.getWatchClient().watch(bytes("closed"), told);
        watcher.close();
        holds(watcher.isClosed(), "it is not closed");
        until("its end", () -> told.completed);
        get(client.getKVClient().put(bytes("closed"), bytes("1")));
        Client other = Client.builder().endpoints(endpoint).build();
        Told second = watch(other, "closed", WatchOption.builder());
        other.close();
        until("its end", () -> second.completed);
        equal(told.events, List.of());
    }

    private static void many(Client client) throws Exception {
        List<Told> all = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            Told told = new Told();
            all.add(told);
            client.getWatchClient().watch(bytes("many-watched/" + i % 100), WatchOption.builder().withCreateNotify(true).build(), told);
        }
        for (Told told : all) {
            until("the watch", () -> told.created);
        }
        for (int i = 0; i < 100; i++) {
            get(client.getKVClient().put(bytes("many-watched/" + i), bytes("v")));
        }
        for (int i = 0; i < 200; i++) {
            all.get(i).await(1);
            equal(all.get(i).events, List.of("PUT many-watched/" + i % 100 + "=v"));
        }
    }

    private static void resumed() throws Exception {
        try (Server server = new Server(); Client client = server.builder().retryMaxDuration(Check.PATIENCE).build()) {
            KV kv = client.getKVClient();
            ByteSequence key = bytes("resumed/a");
            Told told = watch(client, "resumed/", prefix());
            get(kv.put(key, bytes("1")));
            told.await(1);
            for (int round = 2; round < 4; round++) {
                server.kill();
                server.start();
                ByteSequence value = bytes(String.valueOf(round));
                until("an answer", () -> get(kv.put(key, value)) != null);
                told.await(round);
            }
            equal(told.events.stream().distinct().toList(), List.of("PUT resumed/a=1", "PUT resumed/a=2", "PUT resumed/a=3"));
            // It is told that the connection is gone, and goes on.
            holds(!told.completed, told.errors);
        }
    }

    private Watches() {}
}
