/** Small changes anywhere in an input, blind to what stands there. */
import type { Random } from './random.ts';
import { ODD } from './vocabulary.ts';

/** A few small changes anywhere. */
export function mutate(random: Random, text: string, other: string): string {
  let out = text;
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const at = random.below(out.length + 1);
    const length = random.below(random.chance(0.2) ? 20 : 3);
    const [before, after] = [out.slice(0, at), out.slice(at)];
    switch (random.below(7)) {
      case 0:
        out = before + after.slice(length);
        break;
      case 1:
        out = before + random.pick(ODD) + after;
        break;
      case 2:
        out = before + random.pick(ODD) + after.slice(1);
        break;
      case 3:
        out = before + after.slice(0, length) + after;
        break;
      case 4:
        out =
          before +
          String.fromCharCode(after.charCodeAt(0) ^ (1 << random.below(8))).slice(0, after.length) +
          after.slice(1);
        break;
      case 5:
        out = before + String.fromCharCode(random.below(256)) + after.slice(1);
        break;
      default:
        out = before + other.slice(random.below(other.length + 1)).slice(0, 1 + random.below(40)) + after;
    }
  }
  return out;
}
