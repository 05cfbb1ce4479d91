import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HapiContext;
import ca.uhn.hl7v2.app.Connection;
import ca.uhn.hl7v2.llp.MllpConstants;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.GenericModelClassFactory;
import ca.uhn.hl7v2.parser.PipeParser;
import ca.uhn.hl7v2.util.Terser;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Sends messages to an MLLP listener and judges its acknowledgements with HAPI HL7 v2.
 *
 * Arguments: host, port, file with one path per line; each file holds one message with CR line ends.
 * Prints one line per message: index, TAB, how it was sent (initiator or raw), TAB, MSA-1, TAB, same or other (MSA-2
 * against MSH-10 as HAPI reads both), TAB, what HAPI has against the acknowledgement, or nothing.
 */
public final class Sender {
  public static void main(String[] arguments) throws Exception {
    String host = arguments[0];
    int port = Integer.parseInt(arguments[1]);
    List<String> paths = Files.readAllLines(Path.of(arguments[2]));

    // Messages of any type and version, whatever their structure.
    HapiContext generic = new DefaultHapiContext(new GenericModelClassFactory());
    generic.setValidationContext(ValidationContextFactory.noValidation());
    // Acknowledgements by the structures and data types of their own version.
    HapiContext strict = new DefaultHapiContext();
    strict.setValidationContext(ValidationContextFactory.defaultValidation());
    PipeParser acknowledgements = strict.getPipeParser();

    Connection connection = generic.newClient(host, port, false);
    connection.getInitiator().setTimeout(10, TimeUnit.SECONDS);
    for (int index = 0; index < paths.size(); index++) {
      byte[] bytes = Files.readAllBytes(Path.of(paths.get(index)));
      String way = "initiator";
      String answer;
      String controlId;
      try {
        Message message = generic.getPipeParser().parse(new String(bytes, StandardCharsets.UTF_8));
        controlId = new Terser(message).get("/.MSH-10");
        // HAPI's own round trip: it waits for the answer whose MSA-2 is the message's MSH-10, and for no other.
        answer = connection.getInitiator().sendAndReceive(message).encode();
      } catch (Exception unsent) {
        // HAPI does not read every message, or saw no answer of its own: the bytes as they are, and what comes back.
        way = "raw";
        controlId = null;
        answer = exchange(host, port, bytes);
        if (!connection.isOpen()) {
          connection = generic.newClient(host, port, false);
          connection.getInitiator().setTimeout(10, TimeUnit.SECONDS);
        }
      }
      System.out.println(index + "\t" + way + "\t" + judge(acknowledgements, answer, controlId));
    }
    connection.close();
    generic.close();
    strict.close();
  }

  private static String judge(PipeParser parser, String answer, String controlId) {
    if (answer.isEmpty()) {
      return "none\tother\t";
    }
    try {
      Message message = parser.parse(answer);
      Terser terser = new Terser(message);
      String of = terser.get("/.MSA-2");
      boolean same = controlId == null || controlId.equals(of);
      return terser.get("/.MSA-1") + "\t" + (same ? "same" : "other") + "\t";
    } catch (Exception error) {
      return "unreadable\tother\t" + error.getClass().getSimpleName() + " " + String.valueOf(error.getMessage()).replace('\n', ' ').replace('\t', ' ').replace('\r', ' ');
    }
  }

  /** One message in a frame, one answer, without HAPI's view of either. */
  private static String exchange(String host, int port, byte[] message) throws Exception {
    try (Socket socket = new Socket(host, port)) {
      socket.setSoTimeout(10_000);
      OutputStream out = socket.getOutputStream();
      out.write(MllpConstants.START_BYTE);
      out.write(message);
      out.write(MllpConstants.END_BYTE1);
      out.write(MllpConstants.END_BYTE2);
      out.flush();
      InputStream in = socket.getInputStream();
      ByteArrayOutputStream answer = new ByteArrayOutputStream();
      for (int next = in.read(); next >= 0 && next != MllpConstants.END_BYTE1; next = in.read()) {
        if (next != MllpConstants.START_BYTE) {
          answer.write(next);
        }
      }
      return answer.toString(StandardCharsets.UTF_8);
    }
  }
}
