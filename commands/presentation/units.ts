// Numbers for people: sizes in powers of 1024, durations, counts, times. Pure.

const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 512 B, 1.5 KiB, 23 MiB: three digits at most, no more precise than that. */
export function formatBytes(size_bytes: number): string {
  if (size_bytes < 1024) return `${size_bytes} B`;
  let value = size_bytes / 1024;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]!}`;
}

/** 1,234,567: groups of three, whatever the locale, so that scripts and screenshots agree. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** '1 file', '2 files', '2 directories'. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** 350 ms, 4.2 s, 42 s, 3 min 05 s, 2 h 07 min, 3 d 4 h. */
export function formatDuration(duration_ms: number): string {
  if (duration_ms < 999.5) return `${Math.round(duration_ms)} ms`;
  if (duration_ms < 9950) return `${(duration_ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(duration_ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const billion = 1_000_000_000n;

function floorSeconds(time_ns: bigint): { seconds: number; rest_ns: number } {
  const rest = ((time_ns % billion) + billion) % billion;
  return { seconds: Number((time_ns - rest) / billion), rest_ns: Number(rest) };
}

/** 2026-11-21 04:00:00 in the time zone of this machine, as `ls` shows it; far-off times as seconds since 1970. */
export function formatLocalTime(time_ns: bigint): string {
  const { seconds } = floorSeconds(time_ns);
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`;
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** 2026-11-21T03:00:00.123456789Z, for programs; far-off times as seconds since 1970 with nine digits. */
export function formatIsoTime(time_ns: bigint): string {
  const { seconds, rest_ns } = floorSeconds(time_ns);
  const date = new Date(seconds * 1000);
  const fraction = String(rest_ns).padStart(9, '0');
  if (Number.isNaN(date.getTime())) return `@${seconds}.${fraction}`;
  return date.toISOString().replace(/\.\d+Z$/, `.${fraction}Z`);
}
