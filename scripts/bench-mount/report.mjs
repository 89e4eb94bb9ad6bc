// Medians, ratios and the table. Pure.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A goal of lines.mjs against the medians of one line; undefined where there is nothing to compare with. */
function judge(goal, { ours, disk, peer, floors }) {
  if (goal.peers !== undefined)
    return (
      peer && {
        text: `${goal.peers} × faster than the peers`,
        ratio: peer / ours,
        isReached: peer / ours >= goal.peers,
      }
    );
  if (goal.disk !== undefined)
    return (
      disk && { text: `≤ ${goal.disk} × the disk`, ratio: ours / disk, isReached: ours / disk <= goal.disk }
    );
  const unit = goal.of === undefined ? 1 : floors[goal.of];
  const limit = goal.atMost * unit;
  return { text: `≤ ${Number(limit.toFixed(2))}`, ratio: ours / unit, isReached: ours <= limit };
}

/**
 * `measured`: line id → tool name → values, one a round. `tools`: { name, kind }. Answers a row for each line that has
 * values: medians by tool, and for each of ours its ratios and goals.
 */
export function evaluate({ lines, measured, tools, floors }) {
  const rows = [];
  for (const { id, title, unit, goals } of lines) {
    const values = measured.get(id);
    if (values === undefined) continue;
    const medians = Object.fromEntries([...values].map(([name, list]) => [name, median(list)]));
    const of = (kind) => tools.filter((tool) => tool.kind === kind && medians[tool.name] !== undefined);
    const peer = Math.min(...of('peer').map(({ name }) => medians[name]));
    const [disk] = of('disk');
    const figures = {
      peer: Number.isFinite(peer) ? peer : undefined,
      disk: disk && medians[disk.name],
      floors,
    };
    const isTime = unit === 's' || unit === 'round trips';
    const ours = of('ours').map(({ name }) => ({
      name,
      timesFasterThanPeers: isTime && figures.peer ? figures.peer / medians[name] : undefined,
      timesTheDisk: isTime && figures.disk ? medians[name] / figures.disk : undefined,
      goals: goals.map((goal) => judge(goal, { ...figures, ours: medians[name] })).filter(Boolean),
    }));
    rows.push({ id, title, unit, values: Object.fromEntries(values), medians, ours });
  }
  return rows;
}

function figure(value) {
  if (value === undefined || Number.isNaN(value)) return '·';
  if (value >= 100) return value.toFixed(0);
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 1 ? 3 : 2);
}

function ratios(values) {
  return values.some((value) => value !== undefined) ? values.map(figure).join(' / ') : '';
}

/** The table as lines of text. */
export function table(rows, tools) {
  const cells = [
    ['median', 'unit', ...tools.map(({ name }) => name), 'peers ÷ ours', 'ours ÷ disk', 'to reach'],
    ...rows.map(({ title, unit, medians, ours }) => [
      title,
      unit,
      ...tools.map(({ name }) => figure(medians[name])),
      ratios(ours.map(({ timesFasterThanPeers }) => timesFasterThanPeers)),
      ratios(ours.map(({ timesTheDisk }) => timesTheDisk)),
      (ours[0]?.goals ?? [])
        .map(({ text }, index) => {
          const reached = ours.map(({ goals }) => (goals[index]?.isReached ? 'yes' : 'NO'));
          return `${text}: ${reached.join(' / ')}`;
        })
        .join('; '),
    ]),
  ];
  const last = cells[0].length - 1;
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => [...row[column]].length)));
  const pad = (text, column) => {
    if (column === last) return text;
    const blanks = ' '.repeat(widths[column] - [...text].length);
    return column < 2 ? text + blanks : blanks + text;
  };
  return cells.map((row) => row.map(pad).join('  ').trimEnd());
}
