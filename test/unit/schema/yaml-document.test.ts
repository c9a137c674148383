import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { DocumentError } from '../../../src/schema/faults.ts';
import { faultsOf, load } from '../config/loading.ts';

describe('a file that cannot be read as YAML', () => {
  for (const [what, text, faults] of [
    ['empty', '', ['1 : the file is empty; expected at least one setting, such as services']],
    [
      'only comments',
      '# nothing\n',
      ['1 : the file is empty; expected at least one setting, such as services'],
    ],
    ['a duplicate key', 'ops: {}\nproxy: {}\nops: {}', ['3 : this key is there already; keep one']],
    ['a tab', 'proxy:\n\tlisten: 1.2.3.4:5', ['2 : a tab cannot indent in YAML; use spaces']],
    [
      'two documents',
      'ops: {}\n---\nproxy: {}',
      ['2 : a second document begins here; keep one document in the file, without another "---"'],
    ],
    [
      'a tag',
      'ops:\n  listen: !secret x',
      ['2 : this tag (a word with "!") is not known; remove it, or quote the text'],
    ],
    [
      'a dangling alias',
      'a: 1\nsegments:\n  x: [*office]',
      ['3 : this alias has no anchor before it; quote the text if it only begins with "*"'],
    ],
    ['an open bracket', 'segments: { office: [1.2.3.0/24 }', null],
    [
      'endless nesting',
      '['.repeat(200_000),
      ['- : the file is nested too deeply to be read; expected a few levels'],
    ],
    ['a NUL', 'ops: {}\nproxy: "\0"', ['2 : the file holds a NUL character; expected text']],
  ] as const) {
    it(what, async () => {
      const found = await faultsOf(text);
      if (faults === null) assert.match(found[0] ?? '', /^\d+ : not valid YAML: \S/);
      else assert.deepEqual(found, faults);
    });
  }

  it('anchors that multiply', async () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (const [before, name] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi'].map((pair) =>
      pair.split(''),
    )) {
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`);
    }
    assert.deepEqual(await faultsOf(lines.join('\n')), [
      '- : anchors and aliases multiply to over 10000 values; write them out, or use fewer',
    ]);
  });

  it('an anchor that holds itself', async () => {
    assert.deepEqual(await faultsOf('segments: &s { a: *s }'), [
      '1 : the document is nested over 64 levels deep; expected fewer',
    ]);
  });

  it('not UTF-8', async () => {
    const text = Buffer.from('ops: {}\nproxy: { listen: "\xe9" }', 'latin1');
    assert.deepEqual(await faultsOf({ text }), ['2 : the file is not UTF-8 text; expected YAML in UTF-8']);
  });

  it('too large', async () => {
    const [fault = ''] = await faultsOf({ text: Buffer.alloc(32 * 1024 * 1024 + 1, ' ') });
    assert.match(fault, /has 33554433 bytes; expected at most 33554432/);
  });

  it('missing', async () => {
    await assert.rejects(load({ text: undefined as unknown as string }), (error) => {
      assert.ok(error instanceof DocumentError);
      assert.equal(error.code, 'configuration_unreadable');
      assert.match(
        error.message,
        /cannot read \/etc\/serin\/serin\.yaml: there is no such file; name the file with --config FILE/,
      );
      return true;
    });
  });

  it('property: whatever the bytes, it ends in a configuration or a DocumentError', async () => {
    const words = fc.constantFrom(
      'services:',
      '\n',
      '  ',
      'notes',
      ': ',
      '[',
      ']',
      '{',
      '}',
      '&a',
      '*a',
      '- ',
      '"',
      '#',
      '!',
      '|',
      '<<: ',
      'hosts',
      '\t',
      '~',
      '0x1f',
      '%',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.array(words, { maxLength: 40 }).map((all) => all.join('')),
          fc.string(),
        ),
        async (text) => {
          for (const fault of await faultsOf(text)) assert.match(fault, /^[\d-]+ .*?: \S/s);
        },
      ),
      { numRuns: 500 },
    );
  });
});
