import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.postgresql.PGConnection;

/** pgjdbc: one JSON line per check. */
public final class Matrix {
  private static final String VALUE = "0123456789abcdef".repeat(262144);

  private interface Check {
    void run() throws Exception;
  }

  private static Connection connection;

  private static void check(String name, Check check) {
    String error = null;
    try {
      check.run();
    } catch (Exception problem) {
      error = String.valueOf(problem).replaceAll("[^ -~]", " ").replace("\\", "").replace("\"", "'");
    }
    String more = error == null ? "true}" : "false, \"error\": \"" + error + "\"}";
    System.out.println("{\"check\": \"" + name + "\", \"ok\": " + more);
  }

  private static void ensure(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException(what);
    }
  }

  private static void sqlstate(String wanted, Check check) throws Exception {
    try {
      check.run();
    } catch (SQLException refused) {
      ensure(wanted.equals(refused.getSQLState()), "SQLSTATE " + refused.getSQLState() + ": " + refused);
      return;
    }
    throw new IllegalStateException("it was not refused");
  }

  private static String one(String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery(sql)) {
      ensure(result.next(), "no row");
      return result.getString(1);
    }
  }

  private static Connection connect(String mode) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    properties.setProperty("sslmode", "verify-full");
    properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    properties.setProperty("preferQueryMode", mode);
    String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
    return DriverManager.getConnection("jdbc:postgresql://" + place, properties);
  }

  private static void prepared() throws SQLException {
    try (PreparedStatement sum = connection.prepareStatement("SELECT ?::int + ?::int")) {
      for (int number = 0; number < 8; number++) { // past the driver's threshold of preparing by name
        sum.setInt(1, number);
        sum.setInt(2, 2);
        try (ResultSet result = sum.executeQuery()) {
          ensure(result.next() && result.getInt(1) == number + 2, "not the sum");
        }
      }
    }
  }

  private static void nullValue() throws SQLException {
    try (PreparedStatement asked = connection.prepareStatement("SELECT ?::text")) {
      asked.setNull(1, Types.VARCHAR);
      try (ResultSet result = asked.executeQuery()) {
        ensure(result.next() && result.getString(1) == null, "not NULL");
      }
    }
  }

  private static void binary() throws SQLException {
    byte[] bytes = new byte[256];
    for (int at = 0; at < 256; at++) {
      bytes[at] = (byte) at;
    }
    try (PreparedStatement asked = connection.prepareStatement("SELECT ?::bytea")) {
      for (int number = 0; number < 8; number++) {
        asked.setBytes(1, bytes);
        try (ResultSet result = asked.executeQuery()) {
          ensure(result.next() && Arrays.equals(bytes, result.getBytes(1)), "other bytes");
        }
      }
    }
  }

  private static void rows() throws SQLException {
    long sum = 0;
    try (Statement statement = connection.createStatement();
        ResultSet result =
            statement.executeQuery("SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")) {
      while (result.next()) {
        sum += result.getInt(1);
      }
    }
    ensure(sum == 200010000L, "other rows");
  }

  /** With a fetch size the driver asks for a portal's rows in parts. */
  private static void cursor() throws SQLException {
    connection.setAutoCommit(false);
    int count = 0;
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(500);
      try (ResultSet result = statement.executeQuery("SELECT i FROM generate_series(1, 5000) AS i")) {
        while (result.next()) {
          count++;
        }
      }
    }
    connection.commit();
    connection.setAutoCommit(true);
    ensure(count == 5000, "other rows");
  }

  private static void copyOut() throws Exception {
    ByteArrayOutputStream got = new ByteArrayOutputStream();
    String sql = "COPY (SELECT * FROM order_lines) TO STDOUT";
    connection.unwrap(PGConnection.class).getCopyAPI().copyOut(sql, got);
    long lines = got.toString(StandardCharsets.UTF_8).lines().count();
    ensure(String.valueOf(lines).equals(one("SELECT count(*) FROM order_lines")), "other lines");
  }

  private static void refused() throws Exception {
    try (Statement statement = connection.createStatement()) {
      sqlstate("42501", () -> statement.execute("DELETE FROM notes"));
    }
  }

  private static void transaction() throws Exception {
    connection.setAutoCommit(false);
    one("SELECT count(*) FROM orders");
    refused();
    sqlstate("25P02", () -> one("SELECT 'too late'"));
    connection.rollback();
    connection.setAutoCommit(true);
    ensure("after".equals(one("SELECT 'after'")), "not rolled back");
  }

  private static void cancel() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    try (Statement statement = connection.createStatement()) {
      Thread asking =
          new Thread(
              () -> {
                try {
                  // The first request may come before the statement does: it cancels nothing then.
                  while (!over.get()) {
                    Thread.sleep(200);
                    statement.cancel();
                  }
                } catch (InterruptedException | SQLException problem) {
                  over.set(true);
                }
              });
      asking.start();
      sqlstate("57014", () -> statement.execute("SELECT pg_sleep(60)"));
      over.set(true);
      asking.join();
    }
  }

  /** The driver sends a batch as one pipeline; it takes no rows in it, so there is nothing but what is refused. */
  private static void pipeline() throws Exception {
    try (Statement statement = connection.createStatement()) {
      for (int number = 0; number < 5; number++) {
        statement.addBatch("DELETE FROM notes");
      }
      sqlstate("42501", statement::executeBatch);
    }
    ensure("alive".equals(one("SELECT 'alive'")), "not alive");
  }

  public static void main(String[] arguments) throws Exception {
    check("login", () -> connection = connect("extended"));
    check("prepared", Matrix::prepared);
    check("null", Matrix::nullValue);
    check("binary", Matrix::binary);
    check("rows", Matrix::rows);
    check("cursor", Matrix::cursor);
    check("value", () -> ensure(VALUE.equals(one("SELECT repeat('0123456789abcdef', 262144)")), "another value"));
    check("copy-out", Matrix::copyOut);
    check("refused", Matrix::refused);
    check("alive", () -> ensure("alive".equals(one("SELECT 'alive'")), "not alive"));
    check("transaction", Matrix::transaction);
    check("cancel", Matrix::cancel);
    check("pipeline", Matrix::pipeline);
    connection.close();
    connection = connect("simple");
    check("simple", () -> ensure("42".equals(one("SELECT 40 + 2")), "not 42"));
    connection.close();
  }
}
