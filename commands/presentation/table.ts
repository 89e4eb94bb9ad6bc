// Columns for people, aligned. The last one is never padded, so names that are wider than they look stand there.

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

function width(text: string): number {
  return [...text].length;
}

/** Lines without line ends, the titles first. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const all = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => width(row[index] ?? ''))));
  return all.map((row) =>
    row
      .map((cell, index) => {
        const padding = ' '.repeat(widths[index]! - width(cell));
        if (columns[index]?.align === 'right') return padding + cell;
        return index === row.length - 1 ? cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}
