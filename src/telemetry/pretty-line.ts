/** Turns a JSON log line into one for a person at a terminal. A line that is no JSON object stays as it is. */
import { visibleLine, visibleText } from '../schema/visible-text.ts';

/** `12:34:56.789 WARN  message  name=value name=value`, and a stack trace on lines of its own. Ends in a newline. */
export function prettyLine(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return visibleText(line);
  }
  const { level, time, msg, 'service.name': _service, 'exception.stacktrace': stack, ...others } = fields;
  const clock = String(time).slice(11, 23);
  const rest = Object.entries(others)
    .map(
      ([name, value]) =>
        ` ${visibleLine(name)}=${typeof value === 'string' ? shown(value) : visibleLine(JSON.stringify(value))}`,
    )
    .join('');
  const message = typeof msg === 'string' ? visibleLine(msg) : '';
  const trace =
    typeof stack === 'string' && stack !== '' ? `\n  ${visibleText(stack).replaceAll('\n', '\n  ')}` : '';
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${message}${rest === '' ? '' : ' '}${rest}${trace}\n`;
}

function shown(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : visibleLine(JSON.stringify(value));
}
