// Reads a JSON list of field values, each a list of RFC 9651, and writes them parsed.
import { parseList } from 'structured-headers';
import { readFileSync } from 'node:fs';

const parsed = JSON.parse(readFileSync(0)).map((text) => parseList(text).map(
	([value, parameters]) => [value, Object.fromEntries(parameters)]));
process.stdout.write(JSON.stringify(parsed));
