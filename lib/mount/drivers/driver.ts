// What a driver is to lib/mount: something that serves a tree at a mount point until it ends.

export interface Driver {
  /** Settles when nothing is served any more; rejects if that was not wanted. */
  readonly closed: Promise<void>;
  /** Called now and then: lets threads that have had nothing to do let go of what they saw of the catalog. */
  nudge(): void;
  /** Ends the mount, in use or not. */
  unmount(): Promise<void>;
}
