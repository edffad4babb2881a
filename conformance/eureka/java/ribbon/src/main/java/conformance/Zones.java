package conformance;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import com.netflix.loadbalancer.LoadBalancerStats;
import com.netflix.loadbalancer.Server;
import com.netflix.loadbalancer.ServerStats;
import com.netflix.loadbalancer.ZoneAvoidanceRule;
import com.netflix.loadbalancer.ZoneAwareLoadBalancer;
import com.netflix.loadbalancer.ZoneSnapshot;

/**
 * What Ribbon makes of zones: reads a situation per line, {@code NAME CALLS | ZONE INSTANCES TRIPPED ACTIVE | ...}, and says
 * how often which zones were available and which instance was chosen.
 */
public class Zones {
    public static void main(String[] arguments) throws Exception {
        // It has no other door for the dice.
        Field dice = ZoneAvoidanceRule.class.getDeclaredField("random");
        dice.setAccessible(true);
        ((Random) dice.get(null)).setSeed(20260101);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null;) {
            String[] parts = line.trim().split(" *\\| *");
            String[] head = parts[0].split(" ");
            int calls = Integer.parseInt(head[1]);
            List<String[]> zones = new ArrayList<>();
            for (int i = 1; i < parts.length; i++) {
                zones.add(parts[i].split(" "));
            }
            tell("zones", head[0], available(zones, calls));
            tell("choices", head[0], choices(zones, calls));
        }
        // Its timers would go on.
        System.exit(0);
    }

    private static Map<String, Integer> available(List<String[]> zones, int calls) {
        Map<String, ZoneSnapshot> snapshots = new HashMap<>();
        for (String[] zone : zones) {
            int instances = Integer.parseInt(zone[1]), tripped = Integer.parseInt(zone[2]), active = Integer.parseInt(zone[3]);
            int working = instances - tripped;
            double load = instances == 0 ? 0 : working == 0 ? -1 : (double) active / working;
            snapshots.put(zone[0], new ZoneSnapshot(instances, tripped, active, load));
        }
        Map<String, Integer> counts = new TreeMap<>();
        for (int i = 0; i < calls; i++) {
            Set<String> left = ZoneAvoidanceRule.getAvailableZones(snapshots, 0.2, 0.99999);
            counts.merge(left == null ? "" : String.join("+", new TreeSet<>(left)), 1, Integer::sum);
        }
        return counts;
    }

    private static Map<String, Integer> choices(List<String[]> zones, int calls) {
        ZoneAwareLoadBalancer<Server> balancer = new ZoneAwareLoadBalancer<>();
        balancer.setRule(new ZoneAvoidanceRule());
        List<Server> servers = new ArrayList<>();
        for (String[] zone : zones) {
            for (int i = 0; i < Integer.parseInt(zone[1]); i++) {
                Server server = new Server(zone[0] + "-" + i, 80);
                server.setZone(zone[0]);
                server.setAlive(true);
                servers.add(server);
            }
        }
        balancer.setServersList(servers);
        LoadBalancerStats statistics = balancer.getLoadBalancerStats();
        int at = 0;
        for (String[] zone : zones) {
            int instances = Integer.parseInt(zone[1]), tripped = Integer.parseInt(zone[2]), active = Integer.parseInt(zone[3]);
            for (int i = 0; i < instances; i++) {
                ServerStats one = statistics.getSingleServerStat(servers.get(at++));
                // So often that it stays tripped until the end.
                for (int failure = 0; i < tripped && failure < 30; failure++) {
                    one.incrementSuccessiveConnectionFailureCount();
                }
            }
            for (int call = 0; call < active; call++) {
                int place = at - instances + tripped + call % (instances - tripped);
                statistics.getSingleServerStat(servers.get(place)).incrementActiveRequestsCount();
            }
        }
        Map<String, Integer> counts = new TreeMap<>();
        for (int i = 0; i < calls; i++) {
            Server chosen = balancer.chooseServer("default");
            counts.merge(chosen == null ? "none" : chosen.getHost(), 1, Integer::sum);
        }
        return counts;
    }

    private static void tell(String what, String name, Map<String, Integer> counts) {
        StringBuilder line = new StringBuilder(what + " " + name);
        counts.forEach((key, count) -> line.append(' ').append(key.isEmpty() ? "none" : key).append('=').append(count));
        System.out.println(line);
    }
}
