// Medians, ratios, goals and the table. Pure. Goals look at medians:
//   { peers: 20 }      20 times less than the best of the peers
//   { ofPeers: 1.03 }  at most 1.03 times the best of the peers
//   { disk: 1.5 }      at most 1.5 times the disk's
//   { atMost: 0.3 }    in the line's unit; { atMost: 1.2, of: 'bandwidth' } times that floor

/** Units in which tools are compared; of the others, each figure stands for itself. */
const comparedUnits = new Set(['s', 'CPU s', 'round trips', 'MB stored']);

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A goal against the medians of one line; undefined where there is nothing to compare with. */
function judge(goal, { ours, disk, peer, floors }) {
  if (goal.peers !== undefined)
    return (
      peer && {
        text: `${goal.peers} × faster than the peers`,
        ratio: peer / ours,
        isReached: peer / ours >= goal.peers,
      }
    );
  if (goal.ofPeers !== undefined)
    return (
      peer && {
        text: `≤ ${goal.ofPeers} × the best peer's`,
        ratio: ours / peer,
        isReached: ours / peer <= goal.ofPeers,
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
    const isCompared = comparedUnits.has(unit);
    const ours = of('ours').map(({ name }) => ({
      name,
      peerOverOurs: isCompared && figures.peer ? figures.peer / medians[name] : undefined,
      oursOverDisk: isCompared && figures.disk ? medians[name] / figures.disk : undefined,
      goals: goals.map((goal) => judge(goal, { ...figures, ours: medians[name] })).filter(Boolean),
    }));
    rows.push({ id, title, unit, values: Object.fromEntries(values), medians, ours });
  }
  return rows;
}

export function figure(value) {
  if (value === undefined || Number.isNaN(value)) return '·';
  if (value >= 100) return value.toFixed(0);
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 1 ? 3 : 2);
}

function ratios(values) {
  return values.some((value) => value !== undefined) ? values.map(figure).join(' / ') : '';
}

/** The table as lines of text. */
export function table(rows, tools) {
  const cells = [
    ['median', 'unit', ...tools.map(({ name }) => name), 'best peer ÷ ours', 'ours ÷ disk', 'to reach'],
    ...rows.map(({ title, unit, medians, ours }) => [
      title,
      unit,
      ...tools.map(({ name }) => figure(medians[name])),
      ratios(ours.map(({ peerOverOurs }) => peerOverOurs)),
      ratios(ours.map(({ oursOverDisk }) => oursOverDisk)),
      (ours[0]?.goals ?? [])
        .map(({ text }, index) => {
          const reached = ours.map(({ goals }) => (goals[index]?.isReached ? 'yes' : 'NO'));
          return `${text}: ${reached.join(' / ')}`;
        })
        .join('; '),
    ]),
  ];
  return align(cells, 2);
}

/** Rows of cells as lines of text; the first `left` columns and the last one start at the left. */
export function align(cells, left) {
  const last = cells[0].length - 1;
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => [...row[column]].length)));
  const pad = (text, column) => {
    if (column === last) return text;
    const blanks = ' '.repeat(widths[column] - [...text].length);
    return column < left ? text + blanks : blanks + text;
  };
  return cells.map((row) => row.map(pad).join('  ').trimEnd());
}
