import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;

/**
 * The same scripted requests to ringlog ($BOOTSTRAP) and to a Kafka ($JUDGE), answers compared field by field, as TAP lines.
 * `Main ALLOWED --list` prints names; `Main ALLOWED name...` runs these. ALLOWED: see Compare.
 */
final class Main {
    /** One request of a script and both answers. */
    record Exchange(String label, ApiMessageType api, short version, ApiMessage ours, ApiMessage theirs) {}

    /** A script speaks to both sides at once through this. */
    static final class Both {
        final Side left, right;
        final short version;
        final String id;
        final List<Exchange> exchanges = new ArrayList<>();
        final Map<String, String[]> kept = new TreeMap<>();

        Both(Side left, Side right, short version, String id) {
            this.left = left;
            this.right = right;
            this.version = version;
            this.id = id;
        }

        interface Build {
            ApiMessage of(Side side, int index) throws Exception;
        }

        /** The API under test, in the version under test. */
        void ask(String label, ApiMessageType api, Build build) throws Exception {
            at(label, api, version, build);
        }

        /** Another API on the way there, in its newest common version but not above `most`. Not compared. */
        ApiMessage[] help(ApiMessageType api, int most, Build build) throws Exception {
            short v = (short) Math.min(most, Math.min(left.newest(api), right.newest(api)));
            return new ApiMessage[] {left.ask(api, v, build.of(left, 0)), right.ask(api, v, build.of(right, 1))};
        }

        /** This API in this version, compared. Returns both answers. */
        ApiMessage[] at(String label, ApiMessageType api, short v, Build build) throws Exception {
            ApiMessage ours = left.ask(api, v, build.of(left, 0)), theirs = right.ask(api, v, build.of(right, 1));
            exchanges.add(new Exchange(label, api, v, ours, theirs));
            return new ApiMessage[] {ours, theirs};
        }
    }

    interface Script {
        void run(Both both) throws Exception;
    }

    static final Map<String, Script> SCRIPTS = new TreeMap<>();
    static final Map<String, ApiMessageType> APIS = new TreeMap<>();

    /** A script runs once in each version of the API that both brokers serve. */
    static void script(String name, ApiMessageType api, Script script) {
        SCRIPTS.put(name, script);
        APIS.put(name, api);
    }

    public static void main(String[] args) throws Exception {
        TopicScripts.register();
        DataScripts.register();
        GroupScripts.register();
        Compare compare = new Compare(Path.of(args[0]));
        try (Side left = new Side("ringlog", System.getenv("BOOTSTRAP")); Side right = new Side("kafka", System.getenv("JUDGE"))) {
            List<String> names = names(left, right);
            List<String> asked = List.of(args).subList(1, args.length);
            if (asked.equals(List.of("--list"))) {
                names.forEach(System.out::println);
                return;
            }
            if (!asked.isEmpty()) names = asked;
            int number = 0;
            for (String name : names) System.out.println(tap(++number, name, one(name, left, right, compare)));
            if (asked.isEmpty() || asked.size() > 50) compare.unused().forEach(rule -> System.out.println("# not needed: " + rule));
        }
    }

    static List<String> names(Side left, Side right) {
        List<String> all = new ArrayList<>();
        SCRIPTS.forEach((name, script) -> {
            short[] ours = left.versions.get(APIS.get(name).apiKey()), theirs = right.versions.get(APIS.get(name).apiKey());
            if (ours == null || theirs == null) return;
            int last = Math.min(Math.min(ours[1], theirs[1]), APIS.get(name).highestSupportedVersion(true));
            int first = Math.max(Math.max(ours[0], theirs[0]), APIS.get(name).lowestSupportedVersion());
            for (int v = first; v <= last; v++) all.add(name + "/v" + v);
        });
        return all;
    }

    static String one(String name, Side left, Side right, Compare compare) {
        String script = name.substring(0, name.lastIndexOf("/v"));
        short version = Short.parseShort(name.substring(name.lastIndexOf("/v") + 2));
        Both both = new Both(left, right, version, "d" + Long.toString(System.nanoTime(), 36));
        try {
            SCRIPTS.get(script).run(both);
            List<String> wrong = new ArrayList<>();
            for (Exchange e : both.exchanges)
                for (String d : compare.differences(e.api.name, e.label, Side.json(e.ours, e.version), Side.json(e.theirs, e.version))) wrong.add(e.label + ": " + e.api.name + " " + d);
            for (String w : wrong) System.out.println("# " + name + " " + w);
            return wrong.isEmpty() ? null : wrong.size() + " differ, first " + wrong.get(0);
        } catch (Exception | Error e) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace));
            System.out.println("# " + trace.toString().replace("\n", "\n# "));
            left.close();
            right.close();
            return String.valueOf(e);
        }
    }

    static String tap(int number, String name, String why) {
        return (why == null ? "ok " : "not ok ") + number + " - " + name + (why == null ? "" : " # " + why.replaceAll("\\s+", " ").replace("#", ""));
    }
}
