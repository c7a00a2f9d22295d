// knex: its search path, its queries, its schema questions, transactions, streams.
import knex from "knex";
import { attempt, place } from "./place.mjs";

const db = knex({ client: "pg", connection: place, searchPath: ["app", "public"], pool: { min: 0, max: 2 } });
await attempt("rows", () => db("orders").select("id", "state").orderBy("id").limit(10));
await attempt("where", () => db("orders").where("id", "<", 5).whereIn("state", ["open", "paid"]).count());
await attempt("has table", () => db.schema.hasTable("orders"));
await attempt("has column", () => db.schema.hasColumn("orders", "note"));
await attempt("columns", () => db("orders").columnInfo());
await attempt("transaction", () =>
  db.transaction((inside) => inside("orders").count(), { isolationLevel: "repeatable read", readOnly: true }));
await attempt("savepoint", () =>
  db.transaction((inside) => inside.transaction((deeper) => deeper("orders").max("id"))));
await attempt("stream", async () => {
  let count = 0;
  for await (const _ of db("orders").select("id").stream()) count += 1;
  return count;
});
await attempt("raw", () => db.raw("SELECT ?::int AS n", [7]).then((result) => result.rows));
await db.destroy();
