// Which entries of a large directory get their attributes in a listing. They make a listing several times as long in coming and
// spare whoever wants them a question each. `ls` wants none, `ls -l` asks for each page's before it reads the next. So a directory
// begins with them, and goes on without until somebody asks for a name in it. A wrong guess costs time, nothing else.

import { LRUCache } from 'lru-cache';
import { nodeNumber, type NodeId } from '../tree/node.js';

/** Smaller directories come whole with attributes: for whoever reads all names first and then asks (cp, tar), and for the prefetcher. */
const alwaysWith = 4096;
const keptListings = 32;

interface Listing {
  entries: number;
  isAskedFor: boolean;
  isLeftOut: boolean;
}

export class Listings {
  readonly #listings = new LRUCache<bigint, Listing>({ max: keptListings });

  /** A page is about to be made, from `offset` on: whether its entries shall have their attributes. */
  page(directory: NodeId, offset: number): boolean {
    const number = nodeNumber(directory);
    if (offset === 0) this.#listings.set(number, { entries: 0, isAskedFor: false, isLeftOut: false });
    const listing = this.#listings.get(number);
    if (listing === undefined || listing.entries < alwaysWith || listing.isAskedFor) return true;
    listing.isLeftOut = true;
    return false;
  }

  /** It has been made. */
  listed(directory: NodeId, entries: number): void {
    const listing = this.#listings.get(nodeNumber(directory));
    if (listing !== undefined) listing.entries += entries;
  }

  /** Somebody asks for a name in a directory. */
  askedFor(directory: NodeId): void {
    if (this.#listings.size === 0) return;
    const listing = this.#listings.get(nodeNumber(directory));
    if (listing?.isLeftOut === true) listing.isAskedFor = true;
  }

  /** Whether the kernel knows the files of a directory that was listed to its end. */
  isKnown(directory: NodeId): boolean {
    const listing = this.#listings.get(nodeNumber(directory));
    return listing === undefined || !listing.isLeftOut || listing.isAskedFor;
  }
}
