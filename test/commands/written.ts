// What a program has written into a stream of a test's so far. One read() is not enough: newer Node answers chunk by chunk.

import type { PassThrough } from 'node:stream';

export function written(stream: PassThrough): string {
  let text = '';
  for (let chunk: unknown = stream.read(); chunk !== null; chunk = stream.read()) text += String(chunk);
  return text;
}
