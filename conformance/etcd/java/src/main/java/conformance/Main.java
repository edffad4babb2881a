package conformance;

/** jetcd, unmodified, against the server that `SWITCHBOARD_ETCD` names, and some that are started here. */
public final class Main {
    public static void main(String[] arguments) throws InterruptedException {
        String endpoint = "http://" + System.getenv("SWITCHBOARD_ETCD");
        // It waits most of the time.
        Thread alone = new Thread(() -> Administration.runAlone(arguments[0]));
        alone.start();
        Keys.run(endpoint);
        Watches.run(endpoint);
        Coordination.run(endpoint);
        Administration.run(endpoint);
        alone.join();
        System.exit(Check.failed ? 1 : 0);
    }
}
