import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.plugin.AuthenticationPlugin;
import org.postgresql.plugin.AuthenticationRequestType;

/** pgjdbc: two connections, each with a token of its own. */
public final class Fresh {
  public static final class Token implements AuthenticationPlugin {
    @Override
    public char[] getPassword(AuthenticationRequestType type) {
      try {
        Process process = new ProcessBuilder(System.getenv("PYTHON"), "-m", "pgjit", "token").start();
        return new String(process.getInputStream().readAllBytes()).trim().toCharArray();
      } catch (java.io.IOException problem) {
        throw new java.io.UncheckedIOException(problem);
      }
    }
  }

  public static void main(String[] arguments) throws Exception {
    String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    Properties settings = new Properties();
    settings.setProperty("user", System.getenv("PGUSER"));
    settings.setProperty("sslmode", "verify-full");
    settings.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    settings.setProperty("authenticationPluginClassName", "Fresh$Token");
    for (int number = 0; number < 2; number++) {
      try (Connection connection = DriverManager.getConnection("jdbc:postgresql://" + place, settings);
          Statement statement = connection.createStatement();
          ResultSet result = statement.executeQuery("SHOW pgjit.policy")) {
        result.next();
        System.out.println(result.getString(1));
      }
    }
  }
}
