// Follows the bytes that an HTTP/1.1 client sends on one connection and names its requests. Looks on only: what it cannot
// follow is not counted, and goes to the server as it is.

type State = 'request' | 'headers' | 'body' | 'chunk size' | 'chunk' | 'trailers';

export class RequestCounter {
  #state: State = 'request';
  /** The begin of a line whose end has not come yet. */
  #partial = '';
  #request = '';
  #body_bytes = 0;
  #isChunked = false;
  #left_bytes = 0;

  /** `onRequest` is called with 'GET /bucket/key?…' once the head of a request is whole. */
  constructor(private readonly onRequest: (request: string) => void) {}

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'body' || this.#state === 'chunk') {
        const skipped = Math.min(this.#left_bytes, bytes.length - at);
        at += skipped;
        this.#left_bytes -= skipped;
        if (this.#left_bytes === 0) this.#state = this.#state === 'body' ? 'request' : 'chunk size';
        continue;
      }
      const end = bytes.indexOf(0x0a, at);
      this.#partial += bytes.toString('latin1', at, end < 0 ? bytes.length : end);
      if (end < 0) return;
      at = end + 1;
      const line = this.#partial.trimEnd();
      this.#partial = '';
      this.#line(line);
    }
  }

  #line(line: string): void {
    if (this.#state === 'request') {
      const [method, target] = line.split(' ');
      if (method === undefined || target === undefined) return;
      this.#request = `${method} ${target}`;
      this.#body_bytes = 0;
      this.#isChunked = false;
      this.#state = 'headers';
    } else if (this.#state === 'headers') {
      if (line === '') this.#headEnds();
      else this.#header(line);
    } else if (this.#state === 'chunk size') {
      const size_bytes = parseInt(line, 16);
      // With the line end that follows it.
      this.#left_bytes = size_bytes + 2;
      this.#state = size_bytes > 0 ? 'chunk' : 'trailers';
    } else if (line === '') {
      this.#state = 'request';
    }
  }

  #header(line: string): void {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'content-length') this.#body_bytes = Number(value);
    if (name === 'transfer-encoding' && /\bchunked$/i.test(value)) this.#isChunked = true;
  }

  #headEnds(): void {
    this.onRequest(this.#request);
    this.#left_bytes = this.#body_bytes;
    if (this.#isChunked) this.#state = 'chunk size';
    else this.#state = this.#body_bytes > 0 ? 'body' : 'request';
  }
}
