// What the rest of the program knows of a pack; the bytes are in FORMAT.md.

/** 32 bytes: HMAC-SHA256 of the plain bytes under the repository's chunk-id key. */
export type ChunkId = Uint8Array & { readonly __brand?: 'ChunkId' };

/** 64 hex digits: SHA-256 of the stored object. Stored at packs/<first two>/<all>. */
export type PackName = string & { readonly __brand?: 'PackName' };

export const codecs = { stored: 0, zstd: 1 } as const;
export type Codec = (typeof codecs)[keyof typeof codecs];

export interface BlockChunk {
  readonly id: ChunkId;
  /** Plain bytes; chunks lie one after another in the block. */
  readonly size_bytes: number;
}

/** The unit of compression and encryption. Blocks lie one after another behind the pack's header. */
export interface BlockInfo {
  /** As stored: compressed, encrypted, with its tag. */
  readonly stored_bytes: number;
  readonly plain_bytes: number;
  readonly codec: Codec;
  readonly chunks: readonly BlockChunk[];
}

/** What a commit says of a pack that it adds, and what a reader needs to decode any block of it without another request. */
export interface PackInfo {
  readonly name: PackName;
  /** '' on a store without versions. */
  readonly versionId: string;
  readonly size_bytes: number;
  /** The object header's bytes as stored (fixed size): repository, key commitment, wrapped key. */
  readonly header: Uint8Array;
  readonly blocks: readonly BlockInfo[];
}

/** The same, its blocks as their table's bytes (table.ts): all that a writer of commits wants, and cheap to send to a thread. */
export interface EncodedPackInfo extends Omit<PackInfo, 'blocks'> {
  readonly blockCount: number;
  /** Alone in its memory. */
  readonly blockTable: Uint8Array;
}

/** Where one chunk is; what the catalog answers. */
export interface ChunkPlace {
  readonly pack: PackName;
  readonly packVersionId: string;
  readonly packHeader: Uint8Array;
  /** Index of the block in its pack (part of the nonce). */
  readonly block: number;
  /** Of the stored block within the object. */
  readonly blockOffset_bytes: number;
  readonly blockStored_bytes: number;
  readonly blockPlain_bytes: number;
  readonly codec: Codec;
  /** Of the chunk within the plain block. */
  readonly offset_bytes: number;
  readonly size_bytes: number;
}
