// Times as people say them, counted from now: 'yesterday', '2 days ago'. In UTC, as all times of versions are. Pure.

const day_ms = 86_400_000;
const fixed_ms = { second: 1000, minute: 60_000, hour: 3_600_000, day: day_ms, week: 7 * day_ms } as const;
const unitsOfMonths = { month: 1, year: 12 } as const;
const form = /^(an?|one|\d{1,6}) (second|minute|hour|day|week|month|year)s? ago$/;
/** Where dates of four-digit years end, and what Date can hold of those before. */
const earliest_ms = -62_135_596_800_000;

export type RelativeTime =
  /** A calendar day, as versions' names begin: 2026-11-20. */
  { readonly day: string } | { readonly at_ms: number };

/** Undefined where the text says no such time. */
export function relativeTime(text: string, now_ms: number): RelativeTime | undefined {
  const words = text.trim().toLowerCase().replaceAll(/\s+/g, ' ');
  if (words === 'today') return { day: dayOf(now_ms) };
  if (words === 'yesterday') return { day: dayOf(now_ms - day_ms) };
  const [, amount, unit] = form.exec(words) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const count = /^\d/.test(amount) ? Number(amount) : 1;
  const at_ms =
    unit === 'month' || unit === 'year'
      ? monthsBefore(now_ms, count * unitsOfMonths[unit])
      : now_ms - count * fixed_ms[unit as keyof typeof fixed_ms];
  return { at_ms: Math.max(at_ms, earliest_ms) };
}

const dayOf = (time_ms: number): string => new Date(time_ms).toISOString().slice(0, 'yyyy-mm-dd'.length);

/** The same day of an earlier month, or its last day where that is shorter. */
function monthsBefore(now_ms: number, months: number): number {
  const date = new Date(now_ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - months);
  const last = new Date(date);
  last.setUTCMonth(last.getUTCMonth() + 1, 0);
  date.setUTCDate(Math.min(day, last.getUTCDate()));
  return Number.isNaN(date.getTime()) ? earliest_ms : date.getTime();
}
