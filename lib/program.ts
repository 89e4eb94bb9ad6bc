// The program's own name and version, as package.json has them.

import fs from 'node:fs';

const packageFile = new URL('../../package.json', import.meta.url);

export const programVersion = (JSON.parse(fs.readFileSync(packageFile, 'utf8')) as { version: string })
  .version;
