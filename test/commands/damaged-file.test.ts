// Who reads a damaged file learns which file it is, of which version, in which pack, and what to do.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { contentsReason, unreadableContents } from '../../lib/errors/contents.js';
import { newHome } from '../e2e/cli.js';

void t.test('a byte is changed, or the pack is gone', async (t) => {
  const home = newHome(t, {}, 'here');
  fs.mkdirSync(home.at('src', 'letters'), { recursive: true });
  home.configure('[main]\nbase_path: src\nhost: here\nencryption: none\n[directory]\npath: repo\n');
  fs.writeFileSync(home.at('src', 'letters', 'a.odt'), randomBytes(10_000));
  await home.ok('backup', '-q');
  const files = fs.readdirSync(home.at('repo', 'packs'), { recursive: true, encoding: 'utf8' });
  const name = files.find((file) => /[0-9a-f]{64}$/.test(file))!;
  const pack = home.at('repo', 'packs', name);
  fs.chmodSync(pack, 0o600);
  const bytes = fs.readFileSync(pack);
  bytes[5000]! ^= 1;
  const ways = [() => fs.writeFileSync(pack, bytes), () => fs.rmSync(pack)];
  for (const [index, damage] of ways.entries()) {
    damage();
    const cat = await home.rr('cat', 'latest', 'letters/a.odt', '--json');
    t.equal(cat.status, 13);
    const { error } = JSON.parse(cat.stderr.trim().split('\n').at(-1)!) as { error: Record<string, string> };
    t.match(error, {
      code: index === 0 ? 'pack.damaged' : 'pack.missing',
      message: /^letters\/a\.odt in version 1 of src cannot be read: /,
      guidance: /rrbackup repair --read-data/,
    });
    t.ok(error['message']!.includes(path.basename(name)), 'the pack is named');
    const download = await home.rr('download', 'latest', `out ${index}`);
    t.equal(download.status, 3);
    const line = download.stderr.split('\n').find((text) => text.includes('letters/a.odt'))!;
    t.match(
      line,
      /letters\/a\.odt is not put back: .*pack.* \(in version 1\); to heal it: rrbackup repair --read-data$/,
    );
    t.ok(line.includes(path.basename(name)));
  }
});

void t.test('what is no damage of contents stays as it is', async (t) => {
  for (const [code, kind] of [
    ['store.unreachable', 'store'],
    ['interrupted', 'interrupted'],
    ['catalog.damaged', 'damaged'],
  ] as const) {
    const error = new RrbackupError({ code, kind, message: 'why' });
    t.equal(unreadableContents('a', error), error);
    t.equal(contentsReason(error), 'why');
  }
});
