// Lists every version below a prefix, page by page. Servers differ in where a page begins; nothing here relies on it. A listing that
// turns in circles, stands still or does not end is an error.

import { stuckListing, tooManyListed } from '../failures.js';
import { unversioned, type Call, type StoredObject } from '../types.js';
import type { S3Connection } from './connection.js';
import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput } from './sdk.js';

/** Names below a prefix: of streams, of which each machine has a few. */
const mostNames = 20_000;
/** Pages that bring no later key: versions of one key, or nothing. */
const mostPagesWithoutProgress = 200;

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
    if (names.size > mostNames) throw tooManyListed(connection.location, prefix, mostNames);
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
  let last = '';
  let pagesWithoutProgress = 0;
  let count = 0;
  for (;;) {
    const command = new ListObjectVersionsCommand({ ...request, ...marker });
    const page = await connection.send(`listing ${prefix} (s3:ListBucketVersions)`, call, (client, sending) =>
      client.send(command, sending),
    );
    // An error in the body of a 200 must not look like an empty bucket.
    if (page.Name === undefined) throw connection.notS3();
    const keys = keysOf(page);
    count += keys.length;
    const reached = lastOf(keys);
    if (reached !== undefined && isBefore(reached, last)) throw stuckListing(connection.server, prefix);
    pagesWithoutProgress = reached === undefined || reached === last ? pagesWithoutProgress + 1 : 0;
    if (pagesWithoutProgress > mostPagesWithoutProgress || count > connection.mostListed)
      throw tooManyListed(connection.location, prefix, connection.mostListed);
    last = reached ?? last;
    yield page;
    if (page.IsTruncated !== true) return;
    const next: Marker = {
      ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
    const isStuck = next.KeyMarker === marker.KeyMarker && next.VersionIdMarker === marker.VersionIdMarker;
    if (next.KeyMarker === undefined || isStuck) throw stuckListing(connection.server, prefix);
    marker = next;
  }
}

function keysOf({ Versions, DeleteMarkers, CommonPrefixes }: ListObjectVersionsCommandOutput): string[] {
  const keys = [...(Versions ?? []), ...(DeleteMarkers ?? [])].map(({ Key }) => Key);
  const prefixes = (CommonPrefixes ?? []).map(({ Prefix }) => Prefix);
  return [...keys, ...prefixes].filter((key) => key !== undefined);
}

/** The last one in the order of servers, which go by bytes. */
function lastOf(keys: readonly string[]): string | undefined {
  let last: string | undefined;
  for (const key of keys) if (last === undefined || isBefore(last, key)) last = key;
  return last;
}

const isBefore = (key: string, other: string): boolean =>
  key !== other && Buffer.compare(Buffer.from(key), Buffer.from(other)) < 0;
