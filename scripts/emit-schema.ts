/** Writes `config/serin.schema.json` anew. Run it after a change to the configuration's schema, then format the file. */
import { writeFileSync } from 'node:fs';
import { configurationJsonSchema } from '../src/config/json-schema.ts';

const file = new URL('../config/serin.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
