import java.io.*;
import java.nio.file.*;
import java.sql.*;
import java.util.*;
import java.util.logging.*;
import java.util.stream.*;

/** Liquibase, Flyway, Hibernate and jOOQ's generator as those who read: what they find is printed, and what they are refused. */
public class RunJava {
    interface Step { Object take() throws Exception; }

    static final Map<String, String> ENV = System.getenv();
    static final String URL = "jdbc:postgresql://" + ENV.get("PGHOST") + ":" + ENV.get("PGPORT") + "/" + ENV.get("PGDATABASE")
        + "?sslmode=" + ENV.get("PGSSLMODE") + "&options=" + ENV.get("PGOPTIONS").replace(" ", "%20") + (ENV.containsKey("PGSSLROOTCERT") ? "&sslrootcert=" + ENV.get("PGSSLROOTCERT") : "");

    static void see(String name, Step step) {
        try {
            System.out.println(name + " -> " + step.take());
        } catch (Throwable fault) {
            Throwable cause = fault;
            while (!(cause instanceof SQLException) && cause.getCause() != null) cause = cause.getCause();
            String said = String.valueOf(cause instanceof SQLException ? cause.getMessage() : fault.getMessage());
            System.out.println(name + " failed: " + fault.getClass().getSimpleName() + " " + said.lines().findFirst().orElse(""));
        }
    }

    static Connection connect() throws SQLException {
        return DriverManager.getConnection(URL, ENV.get("PGUSER"), ENV.get("PGPASSWORD"));
    }

    static String written(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile).sorted().map(file -> {
                try {
                    return folder.relativize(file) + ":\n" + Files.readString(file).replaceAll("(?m)^.*(20\\d\\d-\\d\\d|@Generated|changeSet ).*$", "");
                } catch (IOException fault) {
                    throw new UncheckedIOException(fault);
                }
            }).collect(Collectors.joining("\n"));
        }
    }

    static void liquibase() throws Exception {
        var database = liquibase.database.DatabaseFactory.getInstance()
            .findCorrectDatabaseImplementation(new liquibase.database.jvm.JdbcConnection(connect()));
        database.setDefaultSchemaName("app");
        database.setLiquibaseSchemaName("changes");
        Path folder = Files.createTempDirectory(Path.of("."), "changes");
        Files.writeString(folder.resolve("changes.sql"), "--liquibase formatted sql\n--changeset me:1\nCREATE TABLE app.more (id int);\n");
        var changes = new liquibase.Liquibase("changes.sql", new liquibase.resource.DirectoryResourceAccessor(folder), database);
        see("status", () -> { var said = new StringWriter(); changes.reportStatus(true, new liquibase.Contexts(), said); return said.toString().replaceAll("jdbc:\\S+", "url").replaceAll("\\S+@", "@"); });
        see("validate", () -> { changes.validate(); return "ok"; });
        see("snapshot", () -> {
            var taken = liquibase.snapshot.SnapshotGeneratorFactory.getInstance()
                .createSnapshot(new liquibase.CatalogAndSchema(null, "app"), database, new liquibase.snapshot.SnapshotControl(database));
            return List.of(liquibase.structure.core.Table.class, liquibase.structure.core.View.class, liquibase.structure.core.Index.class,
                liquibase.structure.core.ForeignKey.class, liquibase.structure.core.Sequence.class).stream()
                .map(kind -> taken.get(kind).stream().map(Object::toString).sorted().toList().toString()).collect(Collectors.joining("\n"));
        });
        see("generateChangeLog", () -> {
            Path file = folder.resolve("generated.xml");
            new liquibase.command.CommandScope("generateChangelog")
                .addArgumentValue("database", database).addArgumentValue("changelogFile", file.toString()).addArgumentValue("schemas", "app")
                .setOutput(OutputStream.nullOutputStream()).execute();
            String text = Files.readString(file).replaceAll("changeSet (author|id).*", "changeSet");
            return text.lines().sorted().collect(Collectors.joining("\n"));  // the order of tables is that of a hash
        });
        see("diff", () -> {
            var same = liquibase.diff.compare.CompareControl.STANDARD;
            var result = liquibase.diff.DiffGeneratorFactory.getInstance().compare(database, database, same);
            return result.areEqual();
        });
        see("update", () -> { changes.update(""); return "done"; });
    }

    static void flyway() throws Exception {
        Path folder = Files.createTempDirectory(Path.of("."), "migrations");
        Files.writeString(folder.resolve("V1__first.sql"), "CREATE TABLE app.more (id int);\n");
        var flyway = org.flywaydb.core.Flyway.configure().dataSource(URL, ENV.get("PGUSER"), ENV.get("PGPASSWORD"))
            .schemas("app").locations("filesystem:" + folder).load();
        see("info", () -> Arrays.stream(flyway.info().all()).map(one -> one.getVersion() + " " + one.getDescription() + " " + one.getState()).toList());
        see("validate", () -> { var result = flyway.validateWithResult(); return result.validationSuccessful + " " + result.getAllErrorMessages(); });
        see("migrate", () -> flyway.migrate().migrationsExecuted);
    }

    @jakarta.persistence.Entity(name = "Users")
    @jakarta.persistence.Table(schema = "app", name = "users")
    public static class User {
        @jakarta.persistence.Id Long id;
        String name;
        java.time.OffsetDateTime created;
        Boolean active;
    }

    @jakarta.persistence.Entity(name = "Orders")
    @jakarta.persistence.Table(schema = "app", name = "orders")
    public static class Order {
        @jakarta.persistence.Id Long id;
        @jakarta.persistence.ManyToOne @jakarta.persistence.JoinColumn(name = "user_id") User user;
        java.time.OffsetDateTime placed;
        String note;
    }

    @jakarta.persistence.Entity(name = "Missing")
    @jakarta.persistence.Table(schema = "app", name = "missing")
    public static class Missing {
        @jakarta.persistence.Id Long id;
    }

    static org.hibernate.SessionFactory factory(String action, Class<?>... entities) {
        var configuration = new org.hibernate.cfg.Configuration();
        Map.of("hibernate.connection.url", URL, "hibernate.connection.username", ENV.get("PGUSER"), "hibernate.connection.password",
            ENV.get("PGPASSWORD"), "hibernate.hbm2ddl.auto", action, "hibernate.hbm2ddl.halt_on_error", "true").forEach(configuration::setProperty);
        for (Class<?> entity : entities) configuration.addAnnotatedClass(entity);
        return configuration.buildSessionFactory();
    }

    static void hibernate() {
        see("validate a table that is not there", () -> { factory("validate", Missing.class).close(); return "ok"; });
        see("validate", () -> {
            try (var sessions = factory("validate", User.class, Order.class)) {
                sessions.inTransaction(session -> {
                    session.setDefaultReadOnly(true);
                    System.out.println(session.createSelectionQuery("select o.id, o.user.name from Orders o where o.id < 6 order by o.id", Object[].class)
                        .setMaxResults(5).getResultList().stream().map(Arrays::toString).toList());
                    System.out.println(session.find(User.class, 1L).name);
                });
                see("write", () -> {
                    sessions.inTransaction(session -> session.find(User.class, 1L).name = "another");
                    return "done";
                });
            }
            return "ok";
        });
        see("update", () -> { factory("update", Missing.class).close(); return "done"; });
    }

    static void jooq() throws Exception {
        Path folder = Files.createTempDirectory(Path.of("."), "generated");
        var database = new org.jooq.meta.jaxb.Database().withName("org.jooq.meta.postgres.PostgresDatabase").withSchemata(
            new org.jooq.meta.jaxb.SchemaMappingType().withInputSchema("app"), new org.jooq.meta.jaxb.SchemaMappingType().withInputSchema("public"));
        see("generate", () -> {
            org.jooq.codegen.GenerationTool.generate(new org.jooq.meta.jaxb.Configuration()
                .withLogging(org.jooq.meta.jaxb.Logging.ERROR)
                .withJdbc(new org.jooq.meta.jaxb.Jdbc().withDriver("org.postgresql.Driver").withUrl(URL).withUser(ENV.get("PGUSER")).withPassword(ENV.get("PGPASSWORD")))
                .withGenerator(new org.jooq.meta.jaxb.Generator().withDatabase(database)
                    .withTarget(new org.jooq.meta.jaxb.Target().withPackageName("shop").withDirectory(folder.toString()))));
            return written(folder);
        });
        var context = org.jooq.impl.DSL.using(connect(), org.jooq.SQLDialect.POSTGRES);
        see("tables", () -> context.meta().getSchemas("app").get(0).getTables().stream().map(Object::toString).sorted().toList());
        see("rows", () -> context.fetch("select id, state, history from app.orders order by id limit 3"));
    }

    public static void main(String[] given) throws Exception {
        Logger.getLogger("").setLevel(Level.OFF);
        System.setProperty("org.jooq.no-logo", "true");
        System.setProperty("org.jooq.no-tips", "true");
        switch (given[0]) {
            case "liquibase" -> liquibase.Scope.child(liquibase.Scope.Attr.ui, new liquibase.ui.LoggerUIService(), RunJava::liquibase);
            case "flyway" -> flyway();
            case "hibernate" -> hibernate();
            default -> jooq();
        }
    }
}
