// Fifos, sockets and devices: how their numbers are split, and how they are made. Device nodes need root.

import fs from 'node:fs';
import { check, cString, declare, isMac } from './libc.js';

const nativeMknod = isMac
  ? declare('int mknod(const void *path, uint16_t mode, uint32_t device)')
  : declare('int mknod(const void *path, uint32_t mode, uint64_t device)');

const typeBits = {
  fifo: fs.constants.S_IFIFO,
  socket: fs.constants.S_IFSOCK,
  'character-device': fs.constants.S_IFCHR,
  'block-device': fs.constants.S_IFBLK,
} as const;

/** st_rdev as the kernel's major and minor number. */
export function splitDevice(device: bigint): { major: number; minor: number } {
  if (isMac) return { major: Number((device >> 24n) & 0xffn), minor: Number(device & 0xffffffn) };
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

export function joinDevice(major: number, minor: number): bigint {
  const high = BigInt(major);
  const low = BigInt(minor);
  if (isMac) return (high << 24n) | low;
  return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n);
}

export type NodeType = keyof typeof typeBits;

/** What mknod(2) takes: mode and device. */
export function nodeNumbers(type: NodeType, major: number, minor: number): readonly [number, bigint] {
  return [typeBits[type] | 0o600, joinDevice(major, minor)];
}

/** Makes the node with mode 0600 less the umask; major and minor only matter for devices. Throws SystemCallError. */
export function makeNode(path: Uint8Array, type: NodeType, major = 0, minor = 0): void {
  check(nativeMknod(cString(path), ...nodeNumbers(type, major, minor)), 'mknod', path);
}
