// The PostgreSQL JDBC driver, as DBeaver and Metabase use it, against a server
// that holds tests/clients/events.ndjson.
// Usage: java -cp /usr/share/java/postgresql.jar Jdbc.java HOST PORT USER TOKEN

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

public class Jdbc {
    static void check(boolean holds, Object... seen) {
        if (!holds) {
            throw new AssertionError(List.of(seen).toString());
        }
    }

    static void refused(Statement statement, String text, String state) throws SQLException {
        try {
            statement.execute(text);
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), text, error.getSQLState(), error.getMessage());
            return;
        }
        throw new AssertionError(text + " was run");
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(name));
        }
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + arguments[0] + ":" + arguments[1] + "/spendlake";
        for (String mode : List.of("extended", "simple", "extendedForPrepared")) {
            Properties properties = new Properties();
            properties.put("user", arguments[2]);
            properties.put("password", arguments[3]);
            properties.put("preferQueryMode", mode);
            // Binary from the first execution on.
            properties.put("prepareThreshold", "-1");
            try (Connection connection = DriverManager.getConnection(url, properties)) {
                values(connection);
                if (mode.equals("extended")) {
                    metadata(connection);
                    portions(connection);
                }
            }
        }
        Properties wrong = new Properties();
        wrong.put("user", arguments[2]);
        wrong.put("password", "wrong");
        try {
            DriverManager.getConnection(url, wrong).close();
            throw new AssertionError("a wrong token was taken");
        } catch (SQLException error) {
            check("28P01".equals(error.getSQLState()), error.getSQLState());
        }
        System.out.println("JDBC: ok");
    }

    static void values(Connection connection) throws SQLException {
        connection.setReadOnly(true);
        check(connection.isValid(5));
        String text = "SELECT charged_cost, event_time, usage_date, input_tokens, quantity FROM usage_events "
            + "WHERE user_id = ? AND event_time >= ? AND usage_date >= ? AND charged_cost > ? AND input_tokens >= ?";
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            for (int turn = 0; turn < 7; turn++) {
                statement.setString(1, "bob");
                statement.setObject(2, OffsetDateTime.of(2026, 11, 21, 0, 0, 0, 0, ZoneOffset.UTC));
                statement.setObject(3, LocalDate.of(2026, 11, 1));
                statement.setBigDecimal(4, new BigDecimal("0.5"));
                statement.setLong(5, 5);
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next(), "no row");
                    check(rows.getBigDecimal(1).equals(new BigDecimal("999999.000000000001")), rows.getBigDecimal(1));
                    OffsetDateTime time = rows.getObject(2, OffsetDateTime.class);
                    check(time.isEqual(OffsetDateTime.of(2026, 11, 21, 8, 0, 0, 123456000, ZoneOffset.UTC)), time);
                    check(rows.getObject(3, LocalDate.class).equals(LocalDate.of(2026, 11, 21)), rows.getString(3));
                    check(rows.getLong(4) == 1000 && rows.getInt(5) == 1, rows.getLong(4));
                    check(!rows.next(), "more than one row");
                }
            }
        }
        try (Statement statement = connection.createStatement()) {
            try (ResultSet rows = statement.executeQuery("SELECT charged_cost FROM usage_events WHERE event_id = '3'")) {
                check(rows.next() && rows.getBigDecimal(1) == null && rows.wasNull());
            }
            refused(statement, "DELETE FROM usage_events", "25006");
            refused(statement, "SELECT * FROM nothing", "42P01");
            refused(statement, "SELECT nothing FROM usage_events", "42703");
            statement.setQueryTimeout(1);
            refused(statement, "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 11", "57014");
        }
        connection.setReadOnly(false);
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        check(metadata.getDatabaseMajorVersion() == 15, metadata.getDatabaseProductVersion());
        check(column(metadata.getCatalogs(), "TABLE_CAT").contains("spendlake"));
        check(column(metadata.getSchemas(), "TABLE_SCHEM").contains("public"));
        check(column(metadata.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
        String[] kinds = {"TABLE", "VIEW"};
        List<String> tables = column(metadata.getTables(null, "public", "%", kinds), "TABLE_NAME");
        check(tables.contains("usage_events") && tables.contains("organization_daily_stats"), tables);
        check(!tables.contains("usage_daily_files"), tables);
        Map<String, Integer> columns = new HashMap<>();
        try (ResultSet rows = metadata.getColumns(null, "public", "usage_events", "%")) {
            while (rows.next()) {
                columns.put(rows.getString("COLUMN_NAME"), rows.getInt("DATA_TYPE"));
            }
        }
        check(columns.get("charged_cost") == Types.NUMERIC, columns);
        check(columns.get("event_time") == Types.TIMESTAMP, columns);
        check(columns.get("input_tokens") == Types.BIGINT, columns);
        check(columns.get("event_id") == Types.VARCHAR, columns);
        check(column(metadata.getPrimaryKeys(null, "public", "usage_events"), "COLUMN_NAME").isEmpty());
        check(column(metadata.getImportedKeys(null, "public", "usage_events"), "FKCOLUMN_NAME").isEmpty());
        check(column(metadata.getExportedKeys(null, "public", "usage_events"), "FKCOLUMN_NAME").isEmpty());
        check(column(metadata.getIndexInfo(null, "public", "usage_events", false, true), "INDEX_NAME").isEmpty());
        check(column(metadata.getTypeInfo(), "TYPE_NAME").contains("numeric"));
        column(metadata.getTablePrivileges(null, "public", "usage_events"), "PRIVILEGE");
        column(metadata.getFunctions(null, "public", "%"), "FUNCTION_NAME");
        column(metadata.getProcedures(null, "public", "%"), "PROCEDURE_NAME");
        check(!metadata.getSQLKeywords().isEmpty());
        check(metadata.getMaxColumnNameLength() > 0);
    }

    static void portions(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(10);
            try (ResultSet rows = statement.executeQuery("SELECT value FROM generate_series(1, 95) AS t(value) ORDER BY 1")) {
                long count = 0;
                while (rows.next()) {
                    count++;
                    check(rows.getLong(1) == count, count);
                }
                check(count == 95, count);
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }
}
