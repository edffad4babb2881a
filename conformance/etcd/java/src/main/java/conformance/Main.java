package conformance;

/** jetcd, unmodified, against the server that `SWITCHBOARD_ETCD` names, and some that are started here. */
public final class Main {
    public static void main(String[] arguments) {
        String endpoint = "http://" + System.getenv("SWITCHBOARD_ETCD");
        Keys.run(endpoint);
        Watches.run(endpoint);
        Coordination.run(endpoint);
        Administration.run(endpoint, arguments[0]);
        System.exit(Check.failed ? 1 : 0);
    }
}
