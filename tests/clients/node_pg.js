// node-postgres against a server that holds tests/clients/events.ndjson.
// Usage: node_pg.js HOST PORT USER TOKEN
const assert = require("node:assert");
const { Client, Pool } = require("pg");

const [host, port, user, password] = process.argv.slice(2);
const options = { host, port: Number(port), user, password, database: "spendlake" };

async function refused(client, text, code) {
  await assert.rejects(client.query(text), (error) => {
    assert.strictEqual(error.code, code, `${text}: ${error.code} ${error.message}`);
    return true;
  });
}

async function main() {
  const client = new Client(options);
  await client.connect();
  const events = await client.query(
    "SELECT event_id, charged_cost, event_time, input_tokens, quantity, tags FROM usage_events ORDER BY event_id",
  );
  const [one, two, three] = events.rows;
  assert.strictEqual(two.charged_cost, "999999.000000000001");
  assert.strictEqual(two.event_time.toISOString(), "2026-11-21T08:00:00.123Z");
  assert.strictEqual(two.input_tokens, "1000");
  assert.strictEqual(two.quantity, 1);
  assert.strictEqual(one.tags, '{"project":"a \\"b\\""}');
  assert.strictEqual(three.charged_cost, null);

  const text = "SELECT event_id FROM usage_events WHERE user_id = $1 AND event_time >= $2 AND charged_cost > $3 AND input_tokens >= $4";
  const values = ["bob", new Date("2026-11-21T00:00:00Z"), "0.5", 5];
  for (const query of [{ text, values }, { text, values, name: "named" }, { text, values, name: "named" }]) {
    const answer = await client.query(query);
    assert.deepStrictEqual(answer.rows, [{ event_id: "2" }]);
  }
  const array = await client.query("SELECT count(*) FROM usage_events WHERE user_id = ANY($1::text[])", [["ada", "eve"]]);
  assert.strictEqual(array.rows[0].count, "2");
  const binary = await client.query({ text: "SELECT input_tokens, charged_cost, true AS yes FROM usage_events WHERE event_id = '1'", binary: true });
  assert.strictEqual(binary.rows[0].yes, true);

  await refused(client, "DROP TABLE usage_events", "25006");
  await refused(client, "SELECT * FROM nothing", "42P01");
  await refused(client, { text: "SELECT nothing FROM usage_events", values: [] }, "42703");
  await refused(client, "COPY usage_events TO STDOUT", "0A000");
  const several = await client.query("SELECT 1 AS n; SELECT 2 AS n");
  assert.deepStrictEqual(several.map((answer) => answer.rows[0].n), ["1", "2"]);
  await client.end();

  const pool = new Pool({ ...options, max: 4 });
  const counts = await Promise.all(Array.from({ length: 12 }, () => pool.query("SELECT count(*) AS n FROM usage_events")));
  assert(counts.every((answer) => answer.rows[0].n === "3"));
  await pool.end();

  const wrong = new Client({ ...options, password: "wrong" });
  await assert.rejects(wrong.connect(), { code: "28P01" });
  console.log("node-postgres: ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
