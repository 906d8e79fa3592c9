import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ApiVersionsRequestData;
import org.apache.kafka.common.message.ApiVersionsResponseData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;

/** One broker: frames out and in, by Kafka's own message classes, whatever a client would make of them. */
final class Side implements AutoCloseable {
    final String name, host;
    final int port;
    /** The widest range of each API that this broker tells. */
    final Map<Short, short[]> versions = new HashMap<>();
    private Socket socket;
    private int correlation;

    Side(String name, String address) throws IOException {
        this.name = name;
        host = address.split(":")[0];
        port = Integer.parseInt(address.split(":")[1]);
        ApiVersionsResponseData told = (ApiVersionsResponseData) ask(ApiMessageType.API_VERSIONS, (short) 0, new ApiVersionsRequestData());
        told.apiKeys().forEach(k -> versions.put(k.apiKey(), new short[] {k.minVersion(), k.maxVersion()}));
    }

    /** The highest version both of us and the broker know. */
    short newest(ApiMessageType api) {
        short[] range = versions.get(api.apiKey());
        return range == null ? -1 : (short) Math.min(range[1], api.highestSupportedVersion(true));
    }

    /** Sends a request and reads its answer; null when the broker closes the connection instead. */
    ApiMessage ask(ApiMessageType api, short version, ApiMessage request) throws IOException {
        if (socket == null) {
            socket = new Socket(host, port);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(20_000);
        }
        ByteBuffer frame = frame(api, version, request);
        var out = new DataOutputStream(socket.getOutputStream());
        try {
            byte[] bytes = new byte[4 + frame.remaining()];
            ByteBuffer.wrap(bytes).putInt(frame.remaining()).put(frame);
            out.write(bytes);
            out.flush();
            var in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            return decode(api, version, ByteBuffer.wrap(answer));
        } catch (EOFException | SocketException e) {
            close();
            return null;
        }
    }

    private ByteBuffer frame(ApiMessageType api, short version, ApiMessage request) {
        var header = new RequestHeaderData().setRequestApiKey(api.apiKey()).setRequestApiVersion(version).setCorrelationId(++correlation).setClientId("diff");
        ByteBuffer head = MessageUtil.toByteBufferAccessor(header, api.requestHeaderVersion(version)).buffer();
        ByteBuffer body = MessageUtil.toByteBufferAccessor(request, version).buffer();
        return ByteBuffer.allocate(head.remaining() + body.remaining()).put(head).put(body).flip();
    }

    private ApiMessage decode(ApiMessageType api, short version, ByteBuffer answer) throws IOException {
        var accessor = new ByteBufferAccessor(answer);
        int echoed = new ResponseHeaderData(accessor, api.responseHeaderVersion(version)).correlationId();
        if (echoed != correlation) throw new IOException(name + " answered " + echoed + " to " + correlation);
        ApiMessage response = api.newResponse();
        response.read(accessor, version);
        if (answer.hasRemaining()) throw new IOException(name + ": " + answer.remaining() + " bytes follow the answer to " + api + " " + version);
        return response;
    }

    /** A message as JSON; record bytes as their size. */
    static JsonNode json(ApiMessage message, short version) throws ReflectiveOperationException {
        if (message == null) return JsonNodeFactory.instance.objectNode().put("connection", "closed");
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        for (Method m : converter.getMethods())
            if (m.getName().equals("write") && m.getParameterCount() == 3) return (JsonNode) m.invoke(null, message, version, false);
        throw new NoSuchMethodException(converter + ".write");
    }

    @Override
    public void close() {
        try {
            if (socket != null) socket.close();
        } catch (IOException e) {
            // It is closed either way.
        }
        socket = null;
    }
}
