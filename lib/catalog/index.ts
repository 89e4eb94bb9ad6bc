// The room's door: open the catalog, bring it up to date, ask it.

export { Catalog } from './catalog.js';
export type { Feed } from './feed.js';
export { openCatalog, removeCatalog, type CatalogOptions, type OpenedCatalog } from './open.js';
export { openCatalogReader } from './reader.js';
export { syncCatalog } from './sync.js';
export type {
  CatalogEntry,
  CatalogReader,
  Change,
  ChangeKind,
  DirectoryCursor,
  DirectoryId,
  StreamInfo,
  VersionInfo,
} from './types.js';
