import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Begins the setup of an authenticator app and prints the answer. */
public final class Setup {
    private static final String REQUEST = """
            {
              "mfaType": "GOOGLE_AUTH",
              "email": "user@example.com",
              "deviceInfo": { "name": "iPhone 12", "type": "mobile" }
            }
            """;

    /** The JDK has no JSON parser, and one known string needs none. */
    private static final Pattern ERROR =
            Pattern.compile("\"error\"\\s*:\\s*\"([^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+)\"");

    public static void main(String[] args) {
        String baseUrl = System.getenv().getOrDefault("MFA_URL", "http://localhost:8080");
        String token = System.getenv("MFA_TOKEN");
        if (token == null || token.isEmpty()) {
            fail("MFA_TOKEN is not set: it holds your access token");
        }
        try {
            System.out.println(setup(baseUrl, token));
        } catch (IOException | IllegalArgumentException e) {
            fail("MFA setup failed: " + e.getMessage());
        }
    }

    /** Returns the server's answer, or throws with the server's reason for refusing. */
    private static String setup(String baseUrl, String token) throws IOException {
        var connection = (HttpURLConnection) URI.create(baseUrl + "/mfa/setup").toURL().openConnection();
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty("Accept", "application/json");
        connection.setRequestProperty("Authorization", "Bearer " + token);
        connection.setConnectTimeout(10_000);
        connection.setReadTimeout(10_000);
        connection.setDoOutput(true);
        try (OutputStream out = connection.getOutputStream()) {
            out.write(REQUEST.getBytes(StandardCharsets.UTF_8));
        }

        int status = connection.getResponseCode();
        if (status != HttpURLConnection.HTTP_OK) {
            // getInputStream throws on a refusal: its body has a stream of its own.
            throw new IOException(errorText(status, read(connection.getErrorStream())));
        }
        return read(connection.getInputStream());
    }

    private static String read(InputStream stream) throws IOException {
        if (stream == null) { // an answer without a body
            return "";
        }
        try (stream) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String errorText(int status, String answer) {
        Matcher error = ERROR.matcher(answer);
        if (!error.find()) {
            return "the server answered " + status;
        }
        return error.group(1).replaceAll("\\\\([\"\\\\/])", "$1");
    }

    private static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }
}
