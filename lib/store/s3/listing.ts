// Lists every version below a prefix, page by page. Servers differ in where a page begins; nothing here relies on it.

import { transient } from '../failures.js';
import { unversioned, type Call, type StoredObject } from '../types.js';
import type { S3Connection } from './connection.js';
import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput } from './sdk.js';

interface Marker {
  readonly KeyMarker?: string;
  readonly VersionIdMarker?: string;
}

/** Keys come without the connection's prefix. */
export async function* listVersions(
  connection: S3Connection,
  prefix: string,
  options: Call & { after?: string },
): AsyncGenerator<StoredObject> {
  const { after } = options;
  const start = after === undefined ? {} : { KeyMarker: connection.prefix + after };
  for await (const page of pages(connection, prefix, options, start)) {
    for (const { Key, VersionId, Size, LastModified } of page.Versions ?? []) {
      const key = Key?.slice(connection.prefix.length);
      // Ceph 16 begins with the marker itself, AWS after it.
      if (key === undefined || (after !== undefined && key <= after)) continue;
      yield {
        key,
        versionId: VersionId ?? unversioned,
        size_bytes: Size ?? 0,
        modified_ms: LastModified?.getTime() ?? 0,
      };
    }
  }
}

/** The next components below a prefix, sorted; also of what is hidden, which a listing of plain objects would leave out. */
export async function listCommonPrefixes(
  connection: S3Connection,
  prefix: string,
  call: Call,
): Promise<string[]> {
  const names = new Set<string>();
  for await (const page of pages(connection, prefix, call, { Delimiter: '/' })) {
    for (const { Prefix } of page.CommonPrefixes ?? []) {
      if (Prefix !== undefined) names.add(Prefix.slice(connection.prefix.length + prefix.length, -1));
    }
  }
  return [...names].sort();
}

async function* pages(
  connection: S3Connection,
  prefix: string,
  call: Call,
  start: Marker & { Delimiter?: string },
): AsyncGenerator<ListObjectVersionsCommandOutput> {
  const request = { Bucket: connection.bucket, Prefix: connection.prefix + prefix, ...start };
  let marker: Marker = {};
  for (;;) {
    const command = new ListObjectVersionsCommand({ ...request, ...marker });
    const page = await connection.send(`listing ${prefix} (s3:ListBucketVersions)`, call, (client, sending) =>
      client.send(command, sending),
    );
    // An error in the body of a 200 must not look like an empty bucket.
    if (page.Name === undefined) throw connection.notS3();
    yield page;
    if (page.IsTruncated !== true) return;
    const next: Marker = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
    const isStuck = next.KeyMarker === marker.KeyMarker && next.VersionIdMarker === marker.VersionIdMarker;
    if (next.KeyMarker === undefined || isStuck) {
      throw transient(`${connection.server} does not say where its listing of ${prefix} goes on`);
    }
    marker = next;
  }
}
