package conformance;

import io.etcd.jetcd.Client;
import io.etcd.jetcd.ClientBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A server of its own, that can be killed and comes back on the same port. */
final class Server implements AutoCloseable {
    private final Path folder;
    private final List<String> settings;
    private Process process;
    private String place = "127.0.0.1:0";

    Server(String... settings) throws Exception {
        folder = Files.createTempDirectory(Path.of(System.getenv("SWITCHBOARD_CONFORMANCE_DIR")), "etcd-java-");
        this.settings = List.of(settings);
        start();
    }

    void start() throws Exception {
        Path ports = folder.resolve("ports");
        Files.deleteIfExists(ports);
        List<String> command = new ArrayList<>(List.of(System.getenv("SWITCHBOARD_BINARY"), "serve", "--only", "etcd", "--data-dir",
            folder.resolve("data").toString(), "--port-file", ports.toString(), "--listen", "etcd=" + place));
        settings.forEach(one -> command.addAll(List.of("--set", one)));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(folder.resolve("log").toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("SWITCHBOARD_"));
        process = builder.start();
        Check.until("a server", () -> Files.exists(ports) && Files.readString(ports).contains("etcd="));
        place = Files.readString(ports).lines().filter(line -> line.startsWith("etcd=")).findFirst().orElseThrow().substring(5);
    }

    /** Tells it nothing. */
    void kill() throws Exception {
        process.destroyForcibly().waitFor();
    }

    String place() {
        return place;
    }

    ClientBuilder builder() {
        return Client.builder().endpoints("http://" + place);
    }

    @Override
    public void close() throws Exception {
        kill();
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted((one, other) -> other.compareTo(one)).toList()) {
                Files.deleteIfExists(path);
            }
        } catch (IOException left) {
            // It lies in the target folder and harms nobody.
        }
    }
}
