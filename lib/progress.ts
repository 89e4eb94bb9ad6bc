// What a long operation tells its caller while it runs. Plain data; whoever wants to draw it draws it.

export interface Progress {
  readonly phase:
    'connect' | 'catalog' | 'scan' | 'read' | 'upload' | 'commit' | 'restore' | 'verify' | 'recover';
  /** Directory entries finished so far, and in all where that is known. */
  readonly files_done: number;
  readonly files_total?: number;
  /** Bytes of file content finished so far, and in all where that is known. */
  readonly bytes_done: number;
  readonly bytes_total?: number;
  /** What is being worked on right now, for people (already safe to print). */
  readonly current?: string;
}

/** What an operation takes besides its own options. */
export interface Run {
  readonly signal?: AbortSignal;
  /** Called often (every file); the receiver throttles. */
  onProgress?(progress: Progress): void;
  /** Something the user should read that does not stop the operation. */
  onWarning?(message: string): void;
}
