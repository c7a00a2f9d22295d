// The reference MCP server for PostgreSQL, over its own protocol: its resources, its one tool, an attempt to write.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { attempt } from "./place.mjs";

const home = dirname(fileURLToPath(import.meta.url));
const program = join(home, "node_modules/@modelcontextprotocol/server-postgres/dist/index.js");
const address = process.argv[2];
const environment = { ...process.env, ...(process.env.PGSSLROOTCERT ? { NODE_EXTRA_CA_CERTS: process.env.PGSSLROOTCERT } : {}) };
const transport = new StdioClientTransport({ command: process.execPath, args: [program, address], env: environment });
const client = new Client({ name: "tests", version: "1" });
await client.connect(transport);
await attempt("resources", async () => (await client.listResources()).resources.map((each) => each.name).sort());
const query = (statement) => client.callTool({ name: "query", arguments: { sql: statement } });
await attempt("query", () => query("SELECT id, note FROM app.orders ORDER BY id LIMIT 5"));
await attempt("schema", () => query("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'orders'"));
await attempt("escape", () => query("COMMIT; DELETE FROM app.orders"));
await client.close();
