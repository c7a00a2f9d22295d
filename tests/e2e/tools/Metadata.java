import java.lang.reflect.Method;
import java.sql.*;
import java.util.*;
import java.util.concurrent.Callable;

/** Every method of DatabaseMetaData, in ways that tools use, and what JDBC does beside: one line for each, and how it ended. */
public class Metadata {
    static void see(String name, Callable<?> asked) {
        String ended = "ok";
        try {
            if (asked.call() instanceof ResultSet rows) {
                while (rows.next()) { }
                rows.close();
            }
        } catch (Throwable fault) {
            while (!(fault instanceof SQLException) && fault.getCause() != null) fault = fault.getCause();
            ended = fault instanceof SQLFeatureNotSupportedException ? "unsupported"
                : fault instanceof SQLException sql ? sql.getSQLState() : fault.toString();
        }
        System.out.println(name + "\t" + ended);
    }

    static Object[] arguments(Class<?>[] types, int way) {
        String[][] names = {{null, null, null, null}, {null, "app", "%", "%"}, {null, "app", "orders", "%"}};
        Object[] given = new Object[types.length];
        int texts = 0;
        for (int at = 0; at < types.length; at++) {
            if (types[at] == String.class) given[at] = names[way][Math.min(texts++, 3)];
            else if (types[at] == int.class) given[at] = 1;
            else if (types[at] == boolean.class) given[at] = false;
        }
        return given;
    }

    public static void main(String[] given) throws Exception {
        Map<String, String> env = System.getenv();
        Properties login = new Properties();
        login.put("user", env.get("PGUSER"));
        login.put("password", env.get("PGPASSWORD"));
        login.put("sslmode", "verify-full");
        login.put("sslrootcert", env.get("PGSSLROOTCERT"));
        String place = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE");
        Connection connection = DriverManager.getConnection(place, login);
        DatabaseMetaData metadata = connection.getMetaData();
        Set<String> passed = Set.of("unwrap", "isWrapperFor", "getConnection");
        for (Method method : DatabaseMetaData.class.getMethods()) {
            if (passed.contains(method.getName())) continue;
            for (int way = 0; way < (method.getParameterCount() == 0 ? 1 : 3); way++) {
                Object[] arguments = arguments(method.getParameterTypes(), way);
                see(method.getName() + " " + way, () -> method.invoke(metadata, arguments));
            }
        }
        Statement statement = connection.createStatement();
        String byState = "SELECT id FROM app.orders WHERE state = ";
        see("enum cast", () -> asked(connection, byState + "?::app.state", Types.VARCHAR));
        see("enum other", () -> asked(connection, byState + "?", Types.OTHER));
        see("enum array", () -> {
            PreparedStatement prepared = connection.prepareStatement(byState + "ANY (?)");
            prepared.setArray(1, connection.createArrayOf("app.state", new Object[] {"open"}));
            return prepared.executeQuery();
        });
        see("result metadata", () -> {
            ResultSet rows = statement.executeQuery("SELECT * FROM app.users LIMIT 1");
            ResultSetMetaData columns = rows.getMetaData();
            for (int at = 1; at <= columns.getColumnCount(); at++) {
                columns.getColumnTypeName(at);
                columns.isAutoIncrement(at);
                columns.isNullable(at);
                columns.getTableName(at);
                columns.getSchemaName(at);
            }
            return rows;
        });
        see("parameter metadata", () -> {
            PreparedStatement prepared = connection.prepareStatement(byState + "?");
            return prepared.getParameterMetaData().getParameterTypeName(1);
        });
        see("updatable", () -> connection
            .createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE)
            .executeQuery("SELECT * FROM app.orders"));
        see("schema", connection::getSchema);
        see("valid", () -> connection.isValid(5));
        see("client info", () -> { connection.setClientInfo("ApplicationName", "a tool"); return null; });
        see("read only", () -> { connection.setReadOnly(true); return null; });
        see("isolation", () -> {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            return connection.getTransactionIsolation();
        });
        see("fetch size", () -> {
            connection.setAutoCommit(false);
            statement.setFetchSize(10);
            return statement.executeQuery("SELECT * FROM app.orders");
        });
        see("savepoint", () -> {
            connection.rollback(connection.setSavepoint("here"));
            connection.commit();
            connection.setAutoCommit(true);
            return null;
        });
        see("query timeout", () -> { statement.setQueryTimeout(5); return statement.executeQuery("SELECT 1"); });
        see("escapes", () -> statement.executeQuery("SELECT {fn now()}, {d '2026-01-01'}, {fn concat('a', 'b')}"));
        see("function", () -> {
            CallableStatement call = connection.prepareCall("{? = call lower(?)}");
            call.registerOutParameter(1, Types.VARCHAR);
            call.setString(2, "X");
            return call.execute();
        });
        see("set schema", () -> { connection.setSchema("app"); return null; });
        connection.close();
    }

    static ResultSet asked(Connection connection, String text, int type) throws SQLException {
        PreparedStatement prepared = connection.prepareStatement(text);
        prepared.setObject(1, "open", type);
        return prepared.executeQuery();
    }
}
