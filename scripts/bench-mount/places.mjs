// Where each tool's repository of each data set is: made when it is first asked for, kept for later runs in the same work
// directory (those on S3 live as long as the server).

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The two Nodes share a repository: it is the same program. */
const familyOf = (tool) => tool.name.split(' ')[0];

export class Places {
  #session;
  #directory;
  #data;
  #s3;
  #isMade = new Set();

  constructor({ session, directory, data, s3 }) {
    this.#session = session;
    this.#directory = directory;
    this.#data = data;
    this.#s3 = s3;
  }

  /** { data, directory, s3 }: the data set, where the tool keeps its things, and the bucket if it is on S3. */
  async of(tool, dataName, store) {
    const family = familyOf(tool);
    const data = await this.#data.path(dataName);
    if (tool.kind === 'disk') return { data };
    const directory = join(this.#directory, store, family, dataName);
    const bucket = `bench-${family}-${dataName}`;
    const s3 = store === 's3' ? { ...this.#s3, bucket } : undefined;
    const place = { data, directory, s3 };
    const stamp = `${directory}.made`;
    const isMade = store === 's3' ? this.#isMade.has(directory) : existsSync(stamp);
    if (isMade) return place;
    process.stderr.write(`${family}: backing up '${dataName}' (${store})\n`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    if (s3 !== undefined) await this.#s3.newBucket(bucket);
    await tool.init(place);
    const { command, args, env } = tool.backupCommand(place);
    await this.#session.run(command, args, { env });
    this.#isMade.add(directory);
    if (store !== 's3') writeFileSync(stamp, '');
    return place;
  }
}
