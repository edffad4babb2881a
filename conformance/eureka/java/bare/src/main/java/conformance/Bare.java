package conformance;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.concurrent.Callable;

import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.EurekaInstanceConfig;
import com.netflix.appinfo.InstanceInfo;
import com.netflix.appinfo.InstanceInfo.InstanceStatus;
import com.netflix.appinfo.MyDataCenterInstanceConfig;
import com.netflix.appinfo.providers.EurekaConfigBasedInstanceInfoProvider;
import com.netflix.discovery.DefaultEurekaClientConfig;
import com.netflix.discovery.DiscoveryClient;
import com.netflix.discovery.shared.Application;
import com.netflix.discovery.shared.transport.jersey3.Jersey3TransportClientFactories;

/** Netflix's own client without Spring: prints the lines of a driver. */
public class Bare {
    private static final String URL = System.getenv("SWITCHBOARD_EUREKA_URL") + "/eureka/v2/";
    private static boolean failed = false;

    public static void main(String[] arguments) throws Exception {
        System.setProperty("eureka.serviceUrl.default", URL);
        System.setProperty("eureka.shouldUseDns", "false");
        System.setProperty("eureka.name", "bare-app");
        System.setProperty("eureka.vipAddress", "bare-app");
        System.setProperty("eureka.port", "9191");
        System.setProperty("eureka.hostname", "127.0.0.1");
        System.setProperty("eureka.client.refresh.interval", "1");
        System.setProperty("eureka.shouldFilterOnlyUpInstances", "false");
        System.setProperty("eureka.appinfo.initial.replicate.time", "0");
        System.setProperty("eureka.lease.renewalInterval", "1");
        System.setProperty("eureka.lease.duration", "5");
        EurekaInstanceConfig place = new MyDataCenterInstanceConfig() {
            @Override
            public String getHostName(boolean refresh) {
                return "127.0.0.1";
            }

            @Override
            public String getIpAddress() {
                return "127.0.0.1";
            }
        };
        InstanceInfo info = new EurekaConfigBasedInstanceInfoProvider(place).get();
        ApplicationInfoManager manager = new ApplicationInfoManager(place, info);
        DiscoveryClient client = new DiscoveryClient(manager, new DefaultEurekaClientConfig(), new Jersey3TransportClientFactories());
        try {
            check("it registers and finds itself", () -> {
                manager.setInstanceStatus(InstanceStatus.UP);
                return statuses(client, "BARE-APP").equals(List.of(InstanceStatus.UP));
            });
            check("it finds what another protocol registered", () -> {
                List<InstanceInfo> found = client.getInstancesByVipAddress("by-native", false);
                return found.size() == 1 && found.get(0).getPort() == 8080 && found.get(0).getIPAddr().equals("10.4.0.1");
            });
            check("by deltas it knows what everyone knows", () -> {
                String mine = client.getApplications().getReconcileHashCode();
                String theirs = client.getApplications().getAppsHashCode();
                return mine.equals(theirs) && !mine.isEmpty();
            });
            check("what it says of itself is said", () -> {
                manager.setInstanceStatus(InstanceStatus.DOWN);
                return statuses(client, "BARE-APP").equals(List.of(InstanceStatus.DOWN));
            });
        } finally {
            client.shutdown();
        }
        check("it is gone when it has stopped", () -> status("apps/BARE-APP") == 404);
        System.exit(failed ? 1 : 0);
    }

    private static List<InstanceStatus> statuses(DiscoveryClient client, String name) {
        Application found = client.getApplication(name);
        return found == null ? List.of() : found.getInstances().stream().map(InstanceInfo::getStatus).toList();
    }

    private static int status(String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(URL + path)).build();
        return HttpClient.newHttpClient().send(request, BodyHandlers.discarding()).statusCode();
    }

    private static void check(String name, Callable<Boolean> holds) {
        long deadline = System.nanoTime() + 60_000_000_000L;
        Throwable why = null;
        while (System.nanoTime() < deadline) {
            try {
                if (holds.call()) {
                    System.out.println("ok - " + name);
                    return;
                }
                why = null;
                Thread.sleep(100);
            } catch (Exception error) {
                why = error;
            }
        }
        failed = true;
        System.out.println("not ok - " + name + ": " + (why == null ? "never" : why.toString()));
    }
}
