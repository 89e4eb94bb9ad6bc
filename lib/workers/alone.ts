// Bytes on their way to another thread.

/** A copy for a message, which takes along all of the memory that a view is of: with most Buffers tens of kilobytes of other ones. */
export const alone = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
