/** The JSON Schema of the configuration file as editors read it: `config/serin.schema.json` is this, and a test says so. */
import { Configuration } from './schema.ts';

/** The schema with a dialect and a title in front. Draft 7 is what YAML editors know, and all that it needs. */
export function configurationJsonSchema(): { readonly [keyword: string]: unknown } {
  const schema = JSON.parse(JSON.stringify(Configuration)) as { readonly [keyword: string]: unknown };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Serin configuration',
    ...schema,
  };
}
