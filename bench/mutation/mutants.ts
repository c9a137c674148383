/**
 * Small deliberate errors in a source text: what a careless edit would change. A test suite that notices none of them says nothing.
 *
 * The kinds are the usual ones: comparisons and their bounds, conditions that always or never hold, `&&` and `||`, sums, numbers,
 * truth values, a `!` that is gone, a call whose result nobody takes that is gone.
 */
import { parseSync } from 'oxc-parser';

export interface Mutant {
  /** Offsets in the source text, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** What was changed, for people: `a < b → a <= b`. */
  readonly what: string;
}

const BINARY: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
};

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** All that can be made of a source text, in the order of their places. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} can't be parsed: ${errors[0]!.message}`);
  const found: Mutant[] = [];
  const add = (start: number, end: number, replacement: string, around: Node): void => {
    const before = shortened(source.slice(around.start, around.end));
    const after = shortened(source.slice(around.start, start) + replacement + source.slice(end, around.end));
    found.push({ start, end, replacement, what: `${before} → ${after}` });
  };
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const one of value) visit(one);
      return;
    }
    if (!isNode(value)) return;
    // Types are the compiler's business, and imports and messages of errors are not behaviour.
    if (value.type.startsWith('TS') && !SEEN_THROUGH.has(value.type)) return;
    if (value.type === 'ImportDeclaration' || value.type === 'ThrowStatement') return;
    mutate(value, source, add);
    for (const [key, child] of Object.entries(value)) if (key !== 'parent') visit(child);
  };
  visit(program);
  return found.toSorted((a, b) => a.start - b.start);
}

/** Of types: these hold expressions. */
const SEEN_THROUGH = new Set(['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression']);

function mutate(
  node: Node,
  source: string,
  add: (start: number, end: number, replacement: string, around: Node) => void,
): void {
  switch (node.type) {
    case 'BinaryExpression':
    case 'LogicalExpression': {
      const { left, right, operator } = node as unknown as { left: Node; right: Node; operator: string };
      const at = source.indexOf(operator, left.end);
      if (at < 0 || at > right.start) return;
      for (const other of BINARY[operator] ?? []) add(at, at + operator.length, other, node);
      return;
    }
    case 'IfStatement':
    case 'ConditionalExpression': {
      const { test } = node as unknown as { test: Node };
      add(test.start, test.end, 'true', test);
      add(test.start, test.end, 'false', test);
      return;
    }
    case 'UnaryExpression': {
      const { argument, operator } = node as unknown as { argument: Node; operator: string };
      if (operator === '!') add(node.start, argument.start, '', node);
      return;
    }
    case 'Literal': {
      const { value } = node as unknown as { value: unknown };
      if (typeof value === 'boolean') add(node.start, node.end, String(!value), node);
      if (typeof value === 'number') add(node.start, node.end, String(value + 1), node);
      return;
    }
    case 'ExpressionStatement': {
      const { expression } = node as unknown as { expression: Node };
      const call = expression.type === 'AwaitExpression' ? (expression['argument'] as Node) : expression;
      if (call.type === 'CallExpression') add(node.start, node.end, ';', node);
      return;
    }
    default:
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= 70 ? line : `${line.slice(0, 34)} … ${line.slice(-34)}`;
}
