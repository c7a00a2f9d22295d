// drizzle-kit: a schema read off the database (`drizzle-kit pull`), and its own queries.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { sql } from "drizzle-orm";
import pg from "pg";
import { attempt, place } from "./place.mjs";

const home = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(process.cwd(), "drizzle-"));
symlinkSync(join(home, "node_modules"), join(folder, "node_modules"));
const { options, ...plain } = place;
const config = { dialect: "postgresql", out: "./out", schemaFilter: ["app"], dbCredentials: plain };
writeFileSync(join(folder, "drizzle.config.json"), JSON.stringify(config));
await attempt("pull", () => {
  execFileSync(process.execPath, [join(home, "node_modules/drizzle-kit/bin.cjs"), "pull", "--config=drizzle.config.json"],
    { cwd: folder, stdio: ["ignore", "pipe", "pipe"], timeout: 60000 });
  return readFileSync(join(folder, "out/schema.ts"), "utf8").split("\n").sort();
});
const pool = new pg.Pool(place);
const db = drizzle(pool);
await attempt("rows", async () => (await db.execute(sql`SELECT id FROM app.orders WHERE id < ${5} ORDER BY id`)).rows);
await attempt("transaction", () => db.transaction(
  async (inside) => (await inside.execute(sql`SELECT count(*) FROM app.orders`)).rows,
  { isolationLevel: "repeatable read", accessMode: "read only", deferrable: false },
));
await pool.end();
