import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * What Kafka's Java client must be able to do with the broker at $BOOTSTRAP, as TAP lines.
 * `Main --list` prints the names; `Main name...` runs these; `Main` runs all.
 */
final class Main {
    static final int SECONDS = 55;

    interface Body {
        void run() throws Exception;
    }

    static final Map<String, Body> TESTS = new LinkedHashMap<>();

    static void test(String name, Body body) {
        if (TESTS.put(name, body) != null) throw new IllegalStateException("two tests are called " + name);
    }

    public static void main(String[] args) throws Exception {
        TopicTests.register();
        ConfigTests.register();
        OffsetTests.register();
        ClusterTests.register();
        ProducerTests.register();
        ConsumerTests.register();
        for (String protocol : List.of("classic", "consumer")) GroupTests.register(protocol);
        ClassicTests.register();
        NewProtocolTests.register();
        GroupAdminTests.register();
        TransactionTests.register();
        if (args.length == 1 && args[0].equals("--list")) {
            TESTS.keySet().forEach(System.out::println);
            return;
        }
        Map<String, Body> chosen = new LinkedHashMap<>(TESTS);
        if (args.length > 0) chosen.keySet().retainAll(List.of(args));
        System.exit(run(chosen) ? 0 : 1);
    }

    static boolean run(Map<String, Body> chosen) {
        System.out.println("1.." + chosen.size());
        int number = 0;
        boolean all = true;
        for (var e : chosen.entrySet()) {
            long began = System.nanoTime();
            String why = one(e.getKey(), e.getValue());
            all &= why == null;
            String seconds = String.format(" [%.1f s]", (System.nanoTime() - began) / 1e9);
            System.out.println((why == null ? "ok " : "not ok ") + ++number + " - " + e.getKey() + (why == null ? "" : " # " + why) + seconds);
            System.out.flush();
        }
        return all;
    }

    /** Runs one test in a thread of its own. Returns why it failed, or null. */
    static String one(String name, Body body) {
        ExecutorService thread = Executors.newSingleThreadExecutor(r -> {
            Thread t = new Thread(r, name);
            t.setDaemon(true);
            return t;
        });
        Future<?> done = thread.submit(() -> {
            body.run();
            return null;
        });
        try {
            done.get(SECONDS, TimeUnit.SECONDS);
            return null;
        } catch (ExecutionException e) {
            e.getCause().printStackTrace();
            return oneLine(e.getCause());
        } catch (TimeoutException e) {
            return "no end within " + SECONDS + " s";
        } catch (InterruptedException e) {
            return "interrupted";
        } finally {
            thread.shutdownNow();
        }
    }

    static String oneLine(Throwable t) {
        String text = t instanceof AssertionError ? String.valueOf(t.getMessage()) : t.toString();
        if (t.getCause() != null && t.getCause() != t) text += " / " + t.getCause();
        return text.replaceAll("\\s+", " ").replace("#", "").replace("[", "(").replace("]", ")");
    }
}
