// A process or thread that seals zeros, as a backup seals blocks, and answers what came out: the key streams, which are the same only
// where key and nonce are. Arguments: how many objects.

import { parentPort } from 'node:worker_threads';
import { cryptoReady, deriveKeys, newObjectKey, seal } from '../../lib/crypto/index.js';

/** Blocks of one object, and a section more, as a pack has it. */
export const blocksOfKey = 1000;
const stream_bytes = 16;
const objects = Number(process.argv[2]);
const answer =
  parentPort ??
  (process.send === undefined ? undefined : { postMessage: (bytes: Uint8Array) => process.send!(bytes) });

if (answer !== undefined && Number.isInteger(objects)) {
  await cryptoReady();
  // All of them have the same repository and begin at the same time.
  const keys = deriveKeys(Buffer.alloc(32, 1));
  const zeros = Buffer.alloc(stream_bytes);
  const streams = Buffer.alloc(objects * blocksOfKey * stream_bytes);
  let at = 0;
  for (let object = 0; object < objects; object++) {
    const key = newObjectKey(keys, 'RRBPACK1', '00112233445566778899aabbccddeeff');
    for (let block = 0; block < blocksOfKey - 1; block++, at += stream_bytes)
      seal(key, 1, block, zeros, zeros).copy(streams, at, 0, stream_bytes);
    seal(key, 2, 0, zeros, zeros).copy(streams, at, 0, stream_bytes);
    at += stream_bytes;
  }
  answer.postMessage(streams);
}
