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

import io.etcd.jetcd.Auth;
import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Maintenance;
import io.etcd.jetcd.auth.AuthRoleGetResponse;
import io.etcd.jetcd.auth.Permission;
import io.etcd.jetcd.cluster.Member;
import io.etcd.jetcd.maintenance.StatusResponse;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.WatchOption;
import java.nio.file.Path;
import java.util.List;

/** Auth, WatchTokenExpire, Cluster, Maintenance and Ssl. */
final class Administration {
    static void run(String endpoint) {
        Client client = Client.builder().endpoints(endpoint).build();
        check("cluster and maintenance", () -> cluster(client, endpoint));
        client.close();
    }

    /** All of it on servers of its own. */
    static void runAlone(String certificates) {
        check("users and roles", Administration::users);
        check("a token that ends: the client signs in again, its watches and keepalives go on", Administration::tokens);
        check("TLS, and a certificate of the client's as a user", () -> secure(Path.of(certificates)));
    }

    private static void cluster(Client client, String endpoint) throws Exception {
        Maintenance maintenance = client.getMaintenanceClient();
        List<Member> members = get(client.getClusterClient().listMember()).getMembers();
        equal(members.size(), 1);
        holds(!members.get(0).getClientURIs().isEmpty() && !members.get(0).isLearner(), members.get(0).getName());
        StatusResponse status = get(maintenance.statusMember(endpoint));
        holds(status.getVersion().matches("3\\.\\d+\\.\\d+"), status.getVersion());
        equal(List.of(status.getLeader(), status.getHeader().getMemberId(), status.isLearner()), List.of(members.get(0).getId(), members.get(0).getId(), false));
        holds(status.getDbSize() > 0 && status.getRaftIndex() > 0 && status.getRaftTerm() > 0, status);
        equal(get(maintenance.listAlarms()).getAlarms().size(), 0);
        int hash = get(maintenance.hashKV(endpoint, 0)).getHash();
        equal(get(maintenance.hashKV(endpoint, 0)).getHash(), hash);
        get(client.getKVClient().put(bytes("hashed"), bytes("1")));
        holds(get(maintenance.hashKV(endpoint, 0)).getHash() != hash, hash);
        get(maintenance.defragmentMember(endpoint));
        get(maintenance.moveLeader(members.get(0).getId()));
        refused(() -> maintenance.moveLeader(4711), "etcdserver: bad leader transferee");
        refused(() -> client.getClusterClient().removeMember(4711), "etcdserver: ");
    }

    private static void grant(Auth auth, String user, String password, String role) throws Exception {
        get(auth.userAdd(bytes(user), bytes(password)));
        get(auth.roleAdd(bytes(role)));
        get(auth.userGrantRole(bytes(user), bytes(role)));
    }

    private static void users() throws Exception {
        try (Server server = new Server("etcd.bcrypt_cost=4"); Client open = server.builder().build()) {
            Auth auth = open.getAuthClient();
            grant(auth, "root", "root", "root");
            grant(auth, "ann", "old", "reader");
            get(auth.userChangePassword(bytes("ann"), bytes("secret")));
            get(auth.roleGrantPermission(bytes("reader"), bytes("seen/"), bytes("seen0"), Permission.Type.READ));
            get(auth.roleGrantPermission(bytes("reader"), bytes("own"), bytes("own\0"), Permission.Type.READWRITE));
            AuthRoleGetResponse role = get(auth.roleGet(bytes("reader")));
            equal(role.getPermissions().stream().map(one -> one.getPermType() + " " + text(one.getKey())).toList(),
                List.of("READWRITE own", "READ seen/"));
            equal(get(auth.userList()).getUsers(), List.of("ann", "root"));
            equal(get(auth.roleList()).getRoles(), List.of("reader", "root"));
            equal(get(auth.userGet(bytes("ann"))).getRoles(), List.of("reader"));
            refused(() -> auth.userAdd(bytes("ann"), bytes("x")), "etcdserver: user name already exists");
            refused(() -> auth.roleAdd(bytes("reader")), "etcdserver: role name already exists");
            refused(() -> auth.userGet(bytes("bob")), "etcdserver: user name not found");
            refused(() -> auth.roleGet(bytes("none")), "etcdserver: role name not found");
            get(auth.authEnable());
            try (Client root = as(server, "root", "root"); Client ann = as(server, "ann", "secret"); Client wrong = as(server, "ann", "old")) {
                KV mine = ann.getKVClient();
                refused(() -> open.getKVClient().get(bytes("own")), "etcdserver: user name is empty");
                refused(() -> wrong.getKVClient().get(bytes("own")), "etcdserver: authentication failed, invalid user ID or password");
                get(root.getKVClient().put(bytes("seen/a"), bytes("1")));
                equal(shown(get(mine.get(bytes("seen/"), GetOption.builder().isPrefix(true).build()))), "seen/a=1");
                refused(() -> mine.put(bytes("seen/a"), bytes("2")), "etcdserver: permission denied");
                refused(() -> mine.get(bytes("hidden")), "etcdserver: permission denied");
                refused(() -> ann.getAuthClient().userAdd(bytes("eve"), bytes("x")), "etcdserver: permission denied");
                Told hidden = new Told();
                ann.getWatchClient().watch(bytes("hidden"), hidden);
                until("a refusal", () -> !hidden.errors.isEmpty());
                holds(hidden.errors.get(0).toString().contains("permission denied"), hidden.errors);
                get(root.getAuthClient().roleRevokePermission(bytes("reader"), bytes("seen/"), bytes("seen0")));
                refused(() -> mine.get(bytes("seen/a")), "etcdserver: permission denied");
                get(root.getAuthClient().userRevokeRole(bytes("ann"), bytes("reader")));
                refused(() -> mine.get(bytes("own")), "etcdserver: permission denied");
                get(root.getAuthClient().roleDelete(bytes("reader")));
                get(root.getAuthClient().userDelete(bytes("ann")));
                get(root.getAuthClient().authDisable());
            }
            equal(shown(get(open.getKVClient().get(bytes("seen/a")))), "seen/a=1");
        }
    }

    private static Client as(Server server, String user, String password) {
        return server.builder().user(bytes(user)).password(bytes(password)).build();
    }

    private static void tokens() throws Exception {
        try (Server server = new Server("etcd.bcrypt_cost=4", "etcd.auth_token_ttl=\"1s\""); Client open = server.builder().build()) {
            grant(open.getAuthClient(), "root", "root", "root");
            get(open.getAuthClient().authEnable());
            try (Client root = server.builder().user(bytes("root")).password(bytes("root")).retryMaxDuration(Check.PATIENCE).build()) {
                KV kv = root.getKVClient();
                Told told = new Told();
                root.getWatchClient().watch(bytes("seen/"), WatchOption.builder().isPrefix(true).withCreateNotify(true).build(), told);
                until("the watch", () -> told.created);
                long lease = get(root.getLeaseClient().grant(30)).getID();
                for (int i = 0; i < 2; i++) {
                    // Longer than a token lasts.
                    Thread.sleep(2_200);
                    ByteSequence key = bytes("seen/" + i);
                    get(kv.put(key, key));
                    get(root.getLeaseClient().keepAliveOnce(lease));
                }
                told.await(2);
                server.kill();
                server.start();
                until("an answer after the restart", () -> get(kv.put(bytes("seen/last"), bytes("1"))) != null);
                told.await(3);
                equal(told.events.get(2), "PUT seen/last=1");
                get(root.getLeaseClient().keepAliveOnce(lease));
            }
        }
    }

    private static void secure(Path certificates) throws Exception {
        String tls = "etcd.tls={ certificate = \"%1$s/server.pem\", key = \"%1$s/server.key\", client_ca = \"%1$s/authority.pem\" }";
        try (Server server = new Server("etcd.bcrypt_cost=4", tls.formatted(certificates))) {
            String url = "https://localhost:" + server.place().split(":")[1];
            var authority = certificates.resolve("authority.pem").toFile();
            try (Client root = Client.builder().endpoints(url).authority("localhost").sslContext(it -> it.trustManager(authority)
                .keyManager(certificates.resolve("root.pem").toFile(), certificates.resolve("root.key").toFile())).build()) {
                get(root.getKVClient().put(bytes("a"), bytes("1")));
                grant(root.getAuthClient(), "root", "root", "root");
                get(root.getAuthClient().authEnable());
                // By what its certificate is called.
                equal(shown(get(root.getKVClient().get(bytes("a")))), "a=1");
                get(root.getAuthClient().authDisable());
            }
            try (Client without = Client.builder().endpoints(url).authority("localhost").sslContext(it -> it.trustManager(authority))
                .waitForReady(false).retryMaxAttempts(1).build()) {
                refused(() -> without.getKVClient().get(bytes("a")), "UNAVAILABLE");
            }
        }
    }

    private Administration() {}
}
