import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.hl7.fhir.instance.model.api.IBaseOperationOutcome;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.OperationOutcome;

/**
 * Talks to a FHIR R4 server with HAPI's client.
 *
 * Arguments: base URL, bearer token, file with one path per line; each file holds one Bundle.
 * Prints the CapabilityStatement's fhirVersion and resource types on the first line, then per file: index, TAB, HTTP
 * status, TAB, for an accepted Bundle the type and number of entries of the answer, for a refused one the severity, code
 * and expression of each issue.
 */
public final class FhirClient {
  public static void main(String[] arguments) throws Exception {
    FhirContext context = FhirContext.forR4();
    // The client reads the CapabilityStatement by itself before its first request, and believes it.
    context.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.ONCE);
    context.getRestfulClientFactory().setSocketTimeout(60_000);
    IGenericClient client = context.newRestfulGenericClient(arguments[0]);
    client.registerInterceptor(new BearerTokenAuthInterceptor(arguments[1]));

    CapabilityStatement statement = client.capabilities().ofType(CapabilityStatement.class).execute();
    StringBuilder types = new StringBuilder();
    for (var resource : statement.getRestFirstRep().getResource()) {
      types.append(' ').append(resource.getType());
    }
    System.out.println("capabilities\t" + statement.getFhirVersion().toCode() + "\t" + types.toString().trim());

    List<String> paths = Files.readAllLines(Path.of(arguments[2]));
    for (int index = 0; index < paths.size(); index++) {
      String json = Files.readString(Path.of(paths.get(index)));
      try {
        Bundle bundle = context.newJsonParser().parseResource(Bundle.class, json);
        Bundle answer = client.transaction().withBundle(bundle).execute();
        System.out.println(index + "\t200\t" + answer.getType().toCode() + "\t" + answer.getEntry().size());
      } catch (BaseServerResponseException refusal) {
        System.out.println(index + "\t" + refusal.getStatusCode() + issues(refusal.getOperationOutcome()));
      }
    }
  }

  private static String issues(IBaseOperationOutcome outcome) {
    if (!(outcome instanceof OperationOutcome found)) {
      return "\tno OperationOutcome";
    }
    StringBuilder text = new StringBuilder();
    for (var issue : found.getIssue()) {
      String place = issue.hasExpression() ? issue.getExpression().get(0).getValue() : "-";
      text.append('\t').append(issue.getSeverity().toCode()).append(' ').append(issue.getCode().toCode()).append(' ').append(place);
    }
    return text.toString();
  }
}
