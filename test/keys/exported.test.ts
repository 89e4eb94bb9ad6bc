// The key on paper: what was typed wrong is known by its line, and nothing wrong is ever taken for a key.

import fc from 'fast-check';
import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { exportKey, parseExportedKey } from '../../lib/keys/index.js';
import { otherId, repositoryId, secret } from './helpers.js';

const lines = exportKey({ repositoryId, secret });
const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function refusal(text: string): { code: string; message: string } {
  try {
    parseExportedKey(text);
  } catch (error) {
    if (error instanceof RrbackupError) return error;
    throw error;
  }
  throw new Error('it was taken for a key');
}

void t.test('written down for ever the same', async (t) => {
  t.strictSame(lines, [
    '1  040J 6HB7 H6NW VVR1 2DN5',
    '2  4D2P F2DB SQQG 0082 87ZV',
    '3  0C20 A1G7 104G M2RC 215P',
    '4  1M70 Y40H 289H 858P T1FB',
    '5  2WC1 J6GV 3GEH W7VK 1WPX',
    '6  X4SN 2VM9 S405 R83S XEDP',
  ]);
});

void t.test('any key comes back, from among other lines and as people type', async () => {
  const sheet = (of: readonly string[]): string =>
    `rrbackup\n\n2026-11-21 printed\n${of.join('\n')}\n\n1st: keep it\n`;
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (secretBytes, idBytes) => {
        const key = {
          secret: Buffer.from(secretBytes),
          repositoryId: Buffer.from(idBytes).toString('hex'),
        };
        const own = exportKey(key);
        for (const text of [
          sheet(own),
          sheet([...own].reverse()),
          own.join('\r\n').toLowerCase(),
          own.map((line) => `  ${line[0]!}. ${line.slice(3).replace(/ /g, '-')}  `).join('\n'),
          own
            .map((line) => line.slice(0, 3) + line.slice(3).replace(/0/g, 'o').replace(/1/g, 'l'))
            .join('\n'),
        ]) {
          const read = parseExportedKey(text);
          if (!read.secret.equals(key.secret) || read.repositoryId !== key.repositoryId) return false;
        }
        return true;
      },
    ),
    { numRuns: 100 },
  );
});

void t.test(
  'every single letter that is wrong, missing, doubled or swapped is known by its line',
  async (t) => {
    const change = (line: number, typed: string): string =>
      lines.map((text, index) => (index === line ? typed : text)).join('\n');
    for (const [index, line] of lines.entries()) {
      const expected = { code: 'keys.mistyped', message: `line ${index + 1} of the key is not as printed` };
      for (let at = 3; at < line.length; at++) {
        if (line[at] === ' ') continue;
        const wrong = letters[(letters.indexOf(line[at]!) + 7) % 32]!;
        t.match(refusal(change(index, line.slice(0, at) + wrong + line.slice(at + 1))), expected);
        t.match(refusal(change(index, line.slice(0, at) + line.slice(at + 1))), expected);
        t.match(refusal(change(index, line.slice(0, at) + line[at]! + line.slice(at))), expected);
        const next = line[at + 1];
        if (next === undefined || next === ' ' || next === line[at]) continue;
        t.match(refusal(change(index, line.slice(0, at) + next + line[at]! + line.slice(at + 2))), expected);
      }
    }
  },
);

void t.test('lines that are missing, in each other’s place, or of two keys', async (t) => {
  for (const [index] of lines.entries())
    t.match(refusal(lines.filter((_, other) => other !== index).join('\n')), {
      code: 'keys.incomplete',
      message: `line ${index + 1} of the key is not there`,
    });
  t.match(refusal(''), { code: 'keys.incomplete', message: /lines 1, 2, 3, 4, 5 and 6/ });
  const swapped = [lines[0]!, `2${lines[2]!.slice(1)}`, `3${lines[1]!.slice(1)}`, ...lines.slice(3)];
  t.match(refusal(swapped.join('\n')), { message: 'lines 2 and 3 of the key are not as printed' });
  const other = exportKey({ repositoryId: otherId, secret: randomBytes(32) });
  for (const [index] of lines.entries())
    t.match(refusal(lines.map((line, at) => (at === index ? other[at]! : line)).join('\n')), {
      code: 'keys.mistyped',
      message: /not of one key/,
    });
});

void t.test('an error never says what was typed', async (t) => {
  const wrong = lines.map((line) => line.replace(/.$/, (last) => (last === '7' ? '8' : '7')));
  const { message, code } = refusal(wrong.join('\n'));
  t.equal(code, 'keys.mistyped');
  for (const line of wrong) for (const group of line.slice(3).split(' ')) t.notOk(message.includes(group));
});
