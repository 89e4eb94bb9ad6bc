// The room's door: what a repository is (its descriptor), and who may open it (its key slots).

export { descriptorKey, encodeDescriptor, parseDescriptor, verifyDescriptor } from './descriptor.js';
export type { Descriptor, DescriptorFields, Encryption } from './descriptor.js';
export { storedDescriptors } from './descriptors.js';
export { exportKey, parseExportedKey } from './exported.js';
export type { RepositoryKey } from './exported.js';
export { addPassword, listPasswords, readSlots, removePassword } from './manage.js';
export type { Password, Passwords, RemoveOptions } from './manage.js';
export { createSlot, openSlot, repositoryOfSlot } from './slots.js';
export type { NewSlot } from './slots.js';
export { isStored, Unlocker } from './unlock.js';
export type { StoredSlot, StoredSlots, UnlockOptions } from './unlock.js';
