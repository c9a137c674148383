/**
 * Text that came from somebody else, made fit for a terminal or a log: what would move the cursor, reverse the writing or not be
 * seen at all is written out as `\u001b`.
 *
 * What is inside a string of JSON stays the same string to whoever parses it.
 */

/**
 * Controls (C0, DEL, C1), formats (bidirectional overrides, zero-width characters, soft hyphens, tags), line and paragraph
 * separators, halves of surrogate pairs, and letters that show nothing.
 */
const UNSAFE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;
const LINE_BREAKS = /[\n\t]/g;
/** Plain ASCII, which most lines are, is not looked at twice. */
const ASCII = /^[\n\t\x20-\x7e]*$/;

/** Line feeds and tabs stay: for text of several lines. */
export function visibleText(text: string): string {
  return ASCII.test(text) ? text : text.replaceAll(UNSAFE, written);
}

/** One line, whatever the text holds: for a value within a line of ours. */
export function visibleLine(text: string): string {
  return visibleText(text).replaceAll(LINE_BREAKS, (character) => (character === '\n' ? '\\n' : '\\t'));
}

/** Whether `visibleText` changes the text. */
export function isVisible(text: string): boolean {
  return visibleText(text) === text;
}

function written(character: string): string {
  let text = '';
  for (let index = 0; index < character.length; index++)
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  return text;
}

/** Letters of East Asia and pictures: they take two columns of a terminal. */
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/gu;
/** Marks that stand on the letter before them. */
const MARKS = /[\p{Mn}\p{Me}]/gu;

/** How many columns of a terminal a visible line takes, as most terminals have it. */
export function columnsOf(line: string): number {
  if (ASCII.test(line)) return line.length;
  const bare = line.replaceAll(MARKS, '');
  return Array.from(bare).length + (bare.match(WIDE)?.length ?? 0);
}
