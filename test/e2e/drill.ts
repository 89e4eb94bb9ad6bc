// An attack on a bucket by whoever has stolen a machine's key, which may store and delete objects but no versions of them; and
// what the machine's owner types and sees afterwards, on that machine and on a new one. drill.test.ts does it with a few files,
// scripts/drill with many.

import fs from 'node:fs';
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { Test } from 'tap';
import type { S3Server } from '../s3-server.js';
import { difference, type Home, newHome, type Outcome } from './cli.js';
import { clientOf, newUser } from './s3-user.js';

export const versions = [1, 2, 3];

export interface DrillOptions {
  /** Owns its buckets, and has its state here. */
  readonly server: S3Server & { readonly state: string };
  readonly files: number;
  /** See newHome. */
  readonly where: 'process' | 'here';
}

export interface Timed extends Outcome {
  readonly command: string;
  readonly seconds: number;
}

export type Attack = 'deleted' | 'overwritten';

type Scope = Pick<Test, 'teardown'>;

const random = ((state) => (below: number) => {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return Math.floor(((state >>> 8) / 2 ** 24) * below);
})(1);

export class Drill {
  readonly #t: Scope;
  readonly #options: DrillOptions;
  readonly #bucket: string;
  readonly #stolen: S3Client;
  readonly #configuration: string;
  /** That made the backups. */
  readonly home: Home;

  private constructor(
    t: Scope,
    options: DrillOptions,
    home: Home,
    of: { bucket: string; stolen: S3Client; configuration: string },
  ) {
    this.#t = t;
    this.#options = options;
    this.home = home;
    this.#bucket = of.bucket;
    this.#stolen = of.stolen;
    this.#configuration = of.configuration;
  }

  /** A bucket with three versions, copies of what each was, and a key that may not delete versions. */
  static async prepare(t: Scope, options: DrillOptions): Promise<Drill> {
    const { server, where } = options;
    const bucket = await server.newBucket();
    const uid = `machine${bucket.replaceAll('-', '')}`;
    const user = await newUser(server.state, uid);
    const owner = clientOf(server, server);
    await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy(bucket, uid) }));
    owner.destroy();
    const home = newHome(t, {}, where);
    fs.mkdirSync(home.at('source'));
    const configuration = (key: typeof user): string =>
      `[main]\nbase_path: ${home.at('source')}\ncrypt_password: drill\nhost: here\n[s3]\nbucket: ${bucket}\n` +
      `prefix: backups\nendpoint: ${server.endpoint}\naccess_key: ${key.accessKey}\nsecret_key: ${key.secretKey}\n`;
    home.configure(configuration(server));
    await home.ok('init');
    home.configure(configuration(user));
    const stolen = clientOf(server, user);
    t.teardown(() => stolen.destroy());
    const drill = new Drill(t, options, home, { bucket, stolen, configuration: configuration(user) });
    for (const version of versions) {
      drill.#change(version);
      await home.ok('backup');
      await home.run('cp', '-a', home.at('source'), home.at(`copy ${version}`));
    }
    return drill;
  }

  /** All at first; then one of a hundred is another, one of two hundred goes. */
  #change(version: number): void {
    const noise = Buffer.from(Array.from({ length: 1 << 16 }, () => random(256)));
    for (let index = 0; index < this.#options.files; index++) {
      const directory = this.home.at('source', `${Math.floor(index / 1000)}`, `${Math.floor(index / 100)}`);
      if (version === 1) fs.mkdirSync(directory, { recursive: true });
      else if (index % 100 !== version) continue;
      const file = `${directory}/${index}`;
      if (version > 1 && index % 200 === version) fs.rmSync(file);
      else {
        const from = random(noise.length - 8000);
        fs.writeFileSync(
          file,
          [`${index} of ${version}\n`, noise.toString('latin1', from, from + random(8000))].join(''),
        );
      }
    }
  }

  /** Returns how many objects that were; throws if a version could be deleted. */
  async attack(how: Attack): Promise<number> {
    const keys = new Map<string, string>();
    let marker: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (marker !== undefined) {
      const page: Awaited<ReturnType<typeof this.list>> = await this.list(marker);
      for (const { Key, VersionId } of page.Versions ?? []) keys.set(Key!, VersionId!);
      marker = page.IsTruncated
        ? { KeyMarker: page.NextKeyMarker!, VersionIdMarker: page.NextVersionIdMarker! }
        : undefined;
    }
    const Bucket = this.#bucket;
    for (const [Key, VersionId] of keys) {
      if (how === 'deleted') await this.#stolen.send(new DeleteObjectCommand({ Bucket, Key }));
      else await this.#stolen.send(new PutObjectCommand({ Bucket, Key, Body: 'garbage' }));
      const isRefused = await this.#stolen
        .send(new DeleteObjectCommand({ Bucket, Key, VersionId }))
        .then(() => false)
        .catch((error: unknown) => (error as Error).name === 'AccessDenied');
      if (!isRefused) throw new Error(`a version of ${Key} could be deleted`);
    }
    return keys.size;
  }

  private list(marker: { KeyMarker?: string; VersionIdMarker?: string }) {
    return this.#stolen.send(new ListObjectVersionsCommand({ Bucket: this.#bucket, ...marker }));
  }

  /** As its owner would set it up: the configuration, and nothing else. */
  newMachine(): Home {
    const home = newHome(this.#t, {}, this.#options.where);
    home.configure(this.#configuration);
    return home;
  }

  /** As it is typed. */
  async type(home: Home, ...args: string[]): Promise<Timed> {
    const began_ms = performance.now();
    const outcome = await home.rr(...args);
    const seconds = (performance.now() - began_ms) / 1000;
    return { ...outcome, command: `rrbackup ${args.join(' ')}`, seconds };
  }

  /** Gets every version back; what of it is not byte for byte and attribute for attribute as it was. */
  async downloads(home: Home): Promise<{ typed: Timed[]; differences: string[] }> {
    const typed: Timed[] = [];
    const differences: string[] = [];
    for (const version of versions) {
      const back = home.at(`back ${version}`);
      typed.push(await this.type(home, 'download', String(version), back));
      differences.push(await difference(home, this.home.at(`copy ${version}`), back).catch(String));
      fs.rmSync(back, { recursive: true, force: true });
    }
    return { typed, differences: differences.filter((text) => text !== '') };
  }
}

function policy(bucket: string, uid: string): string {
  const Principal = { AWS: [`arn:aws:iam:::user/${uid}`] };
  const [ofBucket, ofObjects] = [
    ['ListBucket', 'ListBucketVersions', 'GetBucketVersioning'],
    ['PutObject', 'GetObject', 'GetObjectVersion', 'DeleteObject'],
  ].map((names) => names.map((name) => `s3:${name}`));
  const Resource = `arn:aws:s3:::${bucket}`;
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal, Action: ofBucket, Resource },
      { Effect: 'Allow', Principal, Action: ofObjects, Resource: `${Resource}/*` },
    ],
  });
}
