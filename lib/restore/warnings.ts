// Things that a restore could not do for many entries are told once, with how many there were.

export class Warnings {
  readonly #grouped = new Map<string, { readonly message: string; count: number }>();

  /** The first message of each group is the one that is told. */
  add(group: string, message: string): void {
    const known = this.#grouped.get(group);
    if (known) known.count++;
    else this.#grouped.set(group, { message, count: 1 });
  }

  tell(onWarning: ((message: string) => void) | undefined): void {
    for (const { message, count } of this.#grouped.values())
      onWarning?.(count === 1 ? message : `${message} (and ${count - 1} more like it)`);
    this.#grouped.clear();
  }
}
