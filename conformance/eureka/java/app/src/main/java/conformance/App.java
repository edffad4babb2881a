package conformance;

import java.util.List;
import java.util.TreeMap;
import java.util.Map;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** An application that is found by its name, and that says whom it finds. */
@SpringBootApplication
@RestController
public class App {
    private final DiscoveryClient discovery;
    private final String name;

    App(DiscoveryClient discovery, @Value("${spring.application.name}") String name) {
        this.discovery = discovery;
        this.name = name;
    }

    public static void main(String[] arguments) {
        SpringApplication.run(App.class, arguments);
    }

    @GetMapping("/hello")
    String hello() {
        return "hello from " + name;
    }

    @GetMapping("/services")
    List<String> services() {
        return discovery.getServices();
    }

    @GetMapping("/instances/{service}")
    List<Map<String, Object>> instances(@PathVariable String service) {
        return discovery.getInstances(service).stream().<Map<String, Object>>map(found -> new TreeMap<>(Map.of(
                "id", found.getInstanceId(), "uri", found.getUri().toString(), "metadata", found.getMetadata()))).toList();
    }
}
