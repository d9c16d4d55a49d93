// Reads every query of the template with the parser of Kusto itself: check.js NODE_MODULES TEMPLATE.
// Azure would say so only when the alert runs, and a workbook only when somebody opens it.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [modules, template] = process.argv.slice(2);
const folder = path.join(modules, "@kusto/language-service-next");
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, file), "utf8"), file);
}
const { KustoCode, GlobalState, Symbols } = globalThis.Kusto.Language;

// What Application Insights has of a trace, as far as a query of ours may ask.
const traces = Symbols.TableSymbol.From("(timestamp: datetime, message: string, severityLevel: int)").WithName("traces");
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("app", [traces]));

function faults(query) {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, i) => found.getItem(i).Message);
}

// Every string of the template that begins with the table; in a workbook, which is a text of JSON, those within.
function* queries(node) {
  if (typeof node === "string") {
    if (node.startsWith("traces")) yield node;
    else if (node.startsWith('{"version":"Notebook/1.0"') || /^\{\s*"version": "Notebook\/1\.0"/.test(node)) yield* queries(JSON.parse(node));
  } else if (node && typeof node === "object") {
    for (const value of Object.values(node)) yield* queries(value);
  }
}

const all = [...queries(JSON.parse(fs.readFileSync(template, "utf8")))];
let bad = 0;
for (const query of all) {
  for (const fault of faults(query)) {
    console.log(`kql: ${fault} in: ${query}`);
    bad += 1;
  }
}
// The judge must be able to say no.
if (faults("traces | where mesage has 'x'").length === 0) throw new Error("the parser takes a column that is not there");
console.log(`kql: ${all.length} queries, ${bad} faults`);
process.exit(bad || all.length < 13 ? 1 : 0);
