// Whether what opens the repository is in its place: the descriptor, and a key slot. That slots are genuine only their passwords
// could tell; that they are well-formed and of this repository is seen here.

import { descriptorKey, listPasswords, parseDescriptor, verifyDescriptor } from '../keys/index.js';
import { RrbackupError } from '../errors/index.js';
import type { Repository } from '../repository/index.js';
import type { Run } from '../progress.js';
import { callOf, type Inventory } from './check-inventory.js';
import type { Findings } from './findings.js';

const slots = 'keys/';

export async function checkKeys(
  repository: Repository,
  inventory: Inventory,
  findings: Findings,
  run: Run,
): Promise<void> {
  await checkDescriptor(repository, findings, run);
  inventory.markNeeded(descriptorKey);
  for (const key of inventory.keys(slots)) inventory.markNeeded(key);
  if (repository.encryption === 'none') return;
  const { passwords, unreadable } = await listPasswords(repository.store, repository.id, callOf(run));
  for (const object of unreadable)
    findings.add({
      code: 'key.damaged',
      message: `the key slot ${object} is damaged: its password does not open the repository; rrbackup key add makes a new one`,
      object,
      remedy: `key remove ${object.slice(slots.length)}`,
    });
  if (passwords.length === 0)
    findings.add({
      code: 'key.none',
      message:
        'there is no key slot any more: no password opens the repository; make one now with rrbackup key add',
    });
}

async function checkDescriptor(
  { store, id, context }: Repository,
  findings: Findings,
  run: Run,
): Promise<void> {
  const object = descriptorKey;
  try {
    const descriptor = parseDescriptor(await store.get(descriptorKey, callOf(run)));
    verifyDescriptor(descriptor, context.keys);
    if (descriptor.repository === id) return;
    findings.add({ code: 'descriptor.damaged', message: `${object} is of another repository`, object });
  } catch (error) {
    if (!(error instanceof RrbackupError)) throw error;
    if (error.code === 'store.missing')
      findings.add({
        code: 'descriptor.missing',
        message: `${object}, which begins the repository, is missing, or hidden by a delete marker`,
        object,
      });
    else if (error.kind === 'damaged' || error.kind === 'tampered')
      findings.add({ code: 'descriptor.damaged', message: error.message, object });
    else throw error;
  }
}
