import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The article's scenario in Java, with the JDK only; run with {@code java Scenario.java}. */
public class Scenario {
    private static final String BASE = System.getenv("SWITCHBOARD_URL");
    private static final String ARTICLE = "{\"service\":\"user-service\",\"host\":\"192.168.1.100\",\"port\":8080,"
            + "\"metadata\":{\"version\":\"v1.2\",\"region\":\"east\"},\"ttl\":30}";
    private static final String ARTICLE_ID = "user-service-192.168.1.100-8080";
    private static final Duration PATIENCE = Duration.ofSeconds(15);
    /** The JDK asks for an upgrade to HTTP/2 by default, which a server has to survive. */
    private static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(PATIENCE).build();

    private static boolean failed = false;

    private interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) {
        check("register the article's JSON", Scenario::registerTheArticle);
        check("look up", Scenario::lookUp);
        check("renew", Scenario::renew);
        check("watch and resume with Last-Event-ID", Scenario::watchAndResume);
        check("deregister", Scenario::deregister);
        check("an unknown instance is not found", () -> call("GET", "/v1/instances/nobody", "", 404));
        // The client's threads may not be left to decide when the program ends.
        System.exit(failed ? 1 : 0);
    }

    private static void registerTheArticle() throws Exception {
        String said = register(ARTICLE);
        equal(text(said, "status"), "success");
        equal(text(said, "id"), ARTICLE_ID);
    }

    private static void lookUp() throws Exception {
        String found = call("GET", "/v1/services/user-service", "", 200);
        equal(text(found, "id"), ARTICLE_ID);
        equal(text(found, "host"), "192.168.1.100");
        equal(number(found, "port"), 8080L);
        equal(text(found, "health"), "passing");
    }

    private static void renew() throws Exception {
        String said = register("{\"service\": \"leased-by-java\", \"host\": \"127.0.0.1\", \"port\": 9, \"ttl\": 30}");
        call("PUT", text(said, "renew"), "", 200);
    }

    private static void watchAndResume() throws Exception {
        long before = number(register(watched("other-of-java", 1)), "revision");
        register(watched("watched-by-java", 1));
        String first = changes(1, "&since=" + before, null).get(0);
        equal(text(first, "kind"), "registered");

        String second = text(register(watched("watched-by-java", 2)), "id");
        call("DELETE", "/v1/instances/" + second, "", 200);
        List<String> missed = changes(2, "", String.valueOf(number(first, "revision")));
        equal(text(missed.get(0), "kind"), "registered");
        equal(text(missed.get(1), "kind"), "deregistered");
    }

    private static void deregister() throws Exception {
        call("DELETE", "/v1/instances/" + ARTICLE_ID, "", 200);
        String found = call("GET", "/v1/services/user-service", "", 200);
        if (found.contains(ARTICLE_ID)) {
            throw new IllegalStateException("still there: " + found);
        }
    }

    private static String watched(String service, int port) {
        return "{\"service\": \"" + service + "\", \"host\": \"127.0.0.1\", \"port\": " + port + "}";
    }

    private static String register(String body) throws Exception {
        return call("POST", "/v1/register", body, 200);
    }

    private static String call(String method, String path, String body, int status) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(BASE + path)).timeout(PATIENCE)
                .header("Content-Type", "application/json")
                .method(method, body.isEmpty()
                        ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = HTTP.send(request, BodyHandlers.ofString());
        if (response.statusCode() != status) {
            throw new IllegalStateException(method + " " + path + " answered " + response.statusCode() + " " + response.body());
        }
        return response.body();
    }

    /** Reads from the watch until it has as many changes as asked for; gives their data. */
    private static List<String> changes(int count, String query, String lastEventId) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(BASE + "/v1/watch?service=watched-by-java" + query))
                .timeout(PATIENCE).header("Accept", "text/event-stream");
        if (lastEventId != null) {
            request.header("Last-Event-ID", lastEventId);
        }
        HttpResponse<Stream<String>> response = HTTP.send(request.build(), BodyHandlers.ofLines());
        equal(response.statusCode(), 200);
        List<String> found = new ArrayList<>();
        String event = "";
        try (Stream<String> stream = response.body()) {
            for (Iterator<String> lines = stream.iterator(); found.size() < count && lines.hasNext();) {
                String line = lines.next();
                if (line.startsWith("event:")) {
                    event = line.substring(6).trim();
                } else if (line.startsWith("data:") && event.equals("change")) {
                    found.add(line.substring(5).trim());
                } else if (line.isEmpty()) {
                    event = "";
                }
            }
        }
        equal(found.size(), count);
        return found;
    }

    /** The JDK has no JSON; the first field of this name is enough here. */
    private static String text(String json, String field) throws IOException {
        return find(json, "\"" + field + "\"\\s*:\\s*\"([^\"]*)\"");
    }

    private static long number(String json, String field) throws IOException {
        return Long.parseLong(find(json, "\"" + field + "\"\\s*:\\s*(\\d+)"));
    }

    private static String find(String json, String pattern) throws IOException {
        Matcher matcher = Pattern.compile(pattern).matcher(json);
        if (!matcher.find()) {
            throw new IOException("no " + pattern + " in " + json);
        }
        return matcher.group(1);
    }

    private static void equal(Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new IllegalStateException("expected " + expected + ", found " + found);
        }
    }

    private static void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok - " + name);
        } catch (Exception error) {
            failed = true;
            System.out.println("not ok - " + name + ": " + String.valueOf(error).replace('\n', ' '));
        }
    }
}
