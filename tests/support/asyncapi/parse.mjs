// Prints what AsyncAPI's parser has to say about each document, as JSON: how severe (0 error,
// 1 warning, 2 information, 3 hint), by which rule, where, and in words.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const told = [];
for (const file of process.argv.slice(2)) {
  const { diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  told.push(diagnostics.map(({ severity, code, path, message }) => ({
    severity, rule: String(code), place: path.join("/"), message,
  })));
}
console.log(JSON.stringify(told));
