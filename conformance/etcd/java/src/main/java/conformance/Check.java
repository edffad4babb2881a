package conformance;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.kv.GetResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** What every check is made of. */
final class Check {
    /** Far longer than anything here takes, on any machine. */
    static final Duration PATIENCE = Duration.ofSeconds(60);
    static volatile boolean failed;

    interface Body {
        void run() throws Exception;
    }

    /** Runs one check and prints its line. */
    static void check(String name, Body body) {
        CompletableFuture<Void> ended = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                body.run();
                ended.complete(null);
            } catch (Throwable error) {
                ended.completeExceptionally(error);
            }
        });
        thread.setDaemon(true);
        thread.start();
        try {
            ended.get(2 * PATIENCE.toSeconds(), TimeUnit.SECONDS);
            System.out.println("ok - " + name);
        } catch (Exception error) {
            failed = true;
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            StackTraceElement[] all = error instanceof ExecutionException ? cause.getStackTrace() : thread.getStackTrace();
            List<String> ours = Arrays.stream(all).filter(it -> it.getClassName().startsWith("conformance")).map(Object::toString).toList();
            System.out.println("not ok - " + name + ": " + (cause + " " + ours).replace('\n', ' '));
        }
    }

    static ByteSequence bytes(String text) {
        return ByteSequence.from(text, StandardCharsets.UTF_8);
    }

    static String text(ByteSequence bytes) {
        return bytes.toString(StandardCharsets.UTF_8);
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    /** Keys and values, in order. */
    static String shown(GetResponse found) {
        return String.join(" ", found.getKvs().stream().map(kv -> text(kv.getKey()) + "=" + text(kv.getValue())).toList());
    }

    static void equal(Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }

    static void holds(boolean so, Object what) {
        if (!so) {
            throw new AssertionError(String.valueOf(what));
        }
    }

    /** The refusal, whose words have to be these. */
    static void refused(Callable<? extends Future<?>> request, String words) throws Exception {
        try {
            get(request.call());
        } catch (ExecutionException error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (cause.toString().contains(words)) {
                    return;
                }
            }
            throw new AssertionError("expected " + words + ", found " + error.getCause());
        }
        throw new AssertionError("it is not refused: " + words);
    }

    static void until(String what, Callable<Boolean> found) throws Exception {
        long end = System.nanoTime() + PATIENCE.toNanos();
        Exception last = null;
        while (System.nanoTime() < end) {
            try {
                if (found.call()) {
                    return;
                }
            } catch (Exception error) {
                // Clients fail while their server is away.
                last = error;
            }
            Thread.sleep(20);
        }
        throw new AssertionError("never: " + what + (last == null ? "" : ", " + last));
    }

    private Check() {}
}
