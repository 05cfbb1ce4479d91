import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.PipeParser;
import ca.uhn.hl7v2.util.Terser;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.component.kafka.KafkaConstants;
import org.apache.camel.main.Main;
import java.nio.charset.StandardCharsets;

/**
 * Apache Camel as what a hospital would put there: MLLP in, one record in Kafka, and the acknowledgement once the broker has
 * acknowledged the record (acks=all).
 *
 * Arguments: port, bootstrap servers, topic, raw or parsed. Parsed: HAPI reads the whole message first, and PID-3 becomes the
 * record's key; raw looks at nothing.
 */
public final class Gateway {
  public static void main(String[] arguments) throws Exception {
    String from = "mllp:127.0.0.1:" + arguments[0] + "?autoAck=true&maxConcurrentConsumers=600&backlog=600&idleTimeout=0";
    // Default is a linger of 0 and a wait for the broker's answer before the exchange is done.
    String to = "kafka:" + arguments[2] + "?brokers=" + arguments[1]
        + "&synchronous=true&requestRequiredAcks=all"
        + "&valueSerializer=org.apache.kafka.common.serialization.ByteArraySerializer";
    boolean parsed = arguments[3].equals("parsed");
    DefaultHapiContext hapi = new DefaultHapiContext();
    // Its default rules refuse telephone numbers of real messages.
    hapi.setValidationContext(ValidationContextFactory.noValidation());
    PipeParser parser = hapi.getPipeParser();

    Main main = new Main();
    main.configure().addRoutesBuilder(new RouteBuilder() {
      @Override
      public void configure() {
        if (parsed) {
          from(from).process(exchange -> key(exchange, parser)).to(to);
        } else {
          from(from).to(to);
        }
      }
    });
    main.run();
  }

  private static void key(Exchange exchange, PipeParser parser) throws Exception {
    byte[] bytes = exchange.getIn().getBody(byte[].class);
    Message message = parser.parse(new String(bytes, StandardCharsets.UTF_8));
    exchange.getIn().setHeader(KafkaConstants.KEY, new Terser(message).get("/.PID-3-1"));
  }
}
