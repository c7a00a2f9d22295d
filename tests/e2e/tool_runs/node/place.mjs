// Where the database is, from libpq's variables, in the form that node-postgres takes.
import { readFileSync } from "node:fs";

const given = process.env;
export const ssl = given.PGSSLMODE === "disable" ? false : { ca: readFileSync(given.PGSSLROOTCERT, "utf8") };
export const place = {
  host: given.PGHOST, port: Number(given.PGPORT), database: given.PGDATABASE, user: given.PGUSER,
  password: given.PGPASSWORD, ssl, options: given.PGOPTIONS,
};

export async function attempt(name, call) {
  try {
    console.log(name, "->", JSON.stringify(await call()));
  } catch (fault) {
    console.log(name, "failed:", fault.code ?? fault.name, String(fault.message).split("\n")[0]);
  }
}
