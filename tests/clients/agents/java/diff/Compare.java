import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * Compares two answers field by field. What may differ is in a file of lines `kind|any API PATH # reason`:
 * kind compares only whether a value is null, empty, zero, negative or something; any does not compare.
 * API and PATH may hold `*`; a path is `topics[name].partitions[0].errorCode`, with the name or number of an element where it has one, and the
 * name of the script's step may stand before it: `too-large/topics...`.
 */
final class Compare {
    record Rule(String how, Pattern api, Pattern path, String line) {}

    final List<Rule> rules = new ArrayList<>();
    final Set<Rule> used = new java.util.HashSet<>();

    Compare(Path file) throws IOException {
        for (String line : Files.readAllLines(file)) {
            if (line.isBlank() || line.startsWith("#")) continue;
            String[] words = line.split("\\s+", 4);
            if (words.length < 4 || !words[3].startsWith("# ") || !List.of("kind", "any").contains(words[0])) throw new IOException(file + ": expected `kind|any API PATH # reason`: " + line);
            rules.add(new Rule(words[0], glob(words[1]), glob(words[2]), line));
        }
    }

    private static Pattern glob(String text) {
        return Pattern.compile(Pattern.quote(text).replace("*", "\\E.*\\Q"));
    }

    /** What differs: `path: ours / theirs`. */
    List<String> differences(String api, String step, JsonNode ours, JsonNode theirs) {
        Map<String, String> left = new TreeMap<>(), right = new TreeMap<>();
        flatten("", ours, left);
        flatten("", theirs, right);
        Set<String> paths = new TreeSet<>(left.keySet());
        paths.addAll(right.keySet());
        List<String> all = new ArrayList<>();
        for (String path : paths) {
            String l = left.get(path), r = right.get(path);
            if (l != null && l.equals(r)) continue;
            if (!allowed(api, step.replace(' ', '-') + "/" + path, path, l, r)) all.add(path + ": " + l + " / " + r);
        }
        return all;
    }

    private boolean allowed(String api, String inStep, String path, String l, String r) {
        for (Rule rule : rules) {
            if (!rule.api.matcher(api).matches() || !rule.path.matcher(path).matches() && !rule.path.matcher(inStep).matches()) continue;
            if (rule.how.equals("kind") && (l == null || r == null || !kind(l).equals(kind(r)))) continue;
            used.add(rule);
            return true;
        }
        return false;
    }

    private static String kind(String value) {
        if (value.equals("null") || value.equals("\"\"") || value.equals("0")) return value;
        if (value.matches("-\\d+")) return "negative";
        return value.equals("\"AAAAAAAAAAAAAAAAAAAAAA\"") ? "zero" : "something";
    }

    private static void flatten(String path, JsonNode node, Map<String, String> into) {
        if (node.isObject()) {
            node.fields().forEachRemaining(e -> flatten(path.isEmpty() ? e.getKey() : path + "." + e.getKey(), e.getValue(), into));
        } else if (node.isArray()) {
            into.put(path + ".length", String.valueOf(node.size()));
            List<JsonNode> elements = new ArrayList<>();
            node.forEach(elements::add);
            elements.sort(Comparator.comparing(Compare::label));
            for (int i = 0; i < elements.size(); i++) {
                String label = label(elements.get(i));
                flatten(path + "[" + (label.isEmpty() ? i : label) + "]", elements.get(i), into);
            }
        } else {
            into.put(path, node.toString());
        }
    }

    /** What an element is called, so that order does not matter. */
    private static String label(JsonNode element) {
        if (!element.isObject()) return element.isNumber() || element.isTextual() ? element.asText() : "";
        StringBuilder all = new StringBuilder();
        for (String field : List.of("name", "topicName", "topic", "resourceName", "groupId", "group", "partitionIndex", "partition", "index", "apiKey", "configName", "nodeId", "brokerId", "key"))
            if (element.has(field) && element.get(field).isValueNode()) all.append(all.length() == 0 ? "" : "/").append(element.get(field).asText());
        return all.toString();
    }

    /** Rules that nothing needed: they hide what may come. */
    List<String> unused() {
        return rules.stream().filter(r -> !used.contains(r)).map(Rule::line).toList();
    }
}
